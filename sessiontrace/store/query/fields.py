"""The keys of the query language: one table, which the parser, the stores and the page read.

Pure values, no thread owns them. Invariant: a key has one row, and a store compiles every row.
"""

from __future__ import annotations

import difflib

import attrs

from sessiontrace.store.models import ABANDONED, CANCELLED, ENDED, FAILED, OPEN

__all__ = ["FIELDS", "STATUSES", "QueryField", "close_names", "field_of"]

TEXT, NUMBER, DURATION, TIME, STATUS, SCORE, REVIEWED = (
    "text", "number", "duration", "time", "status", "score", "reviewed",
)  # fmt: skip

STATUSES = {
    OPEN: OPEN, ENDED: ENDED, FAILED: FAILED, ABANDONED: ABANDONED, CANCELLED: CANCELLED,
    "running": OPEN, "ok": ENDED, "error": FAILED,
}  # fmt: skip
"""The words of ``status:``, each with the status that it means."""


@attrs.frozen
class QueryField:
    """One key: the ``kind`` of its values, and its line of help with an example.

    ``suffix``: "no" takes no name behind a dot, "may" and "must" take one, as ``metadata.plan``.
    """

    name: str
    kind: str
    summary: str
    example: str
    suffix: str = "no"
    aliases: tuple[str, ...] = ()


FIELDS = (
    QueryField("user", TEXT, "The user, or one of the user's properties", "user:ada", "may"),
    QueryField("tag", TEXT, "A tag", "tag:vip", aliases=("tags",)),
    QueryField("name", TEXT, "The session's name", "name:support*", aliases=("session_name",)),
    QueryField("step", TEXT, "The name of a step", "step:fetch", aliases=("event", "span")),
    QueryField("source", TEXT, "Where it ran", "source:production", aliases=("service", "env")),
    QueryField("model", TEXT, "A model that was called", "model:gpt-5*"),
    QueryField("type", TEXT, "The type of a step", "type:tool", aliases=("kind",)),
    QueryField(
        "status", STATUS, "open, ended, failed, abandoned or cancelled", "status:failed",
        aliases=("state", "is"),
    ),
    QueryField("error", TEXT, "The type of an error", "error:TimeoutError"),
    QueryField(
        "score", SCORE, "A score, any or by name", "score.quality:<0.5", "may",
        aliases=("feedback",),
    ),
    QueryField(
        "label", TEXT, "A label that a reviewer gave it or a step", "label:wrong",
        aliases=("labels",),
    ),
    QueryField(
        "reviewed", REVIEWED, "yes, no, or who reviewed it", "reviewed:no",
        aliases=("reviewer", "reviewed_by"),
    ),
    QueryField(
        "duration", DURATION, "How long it took", "duration:>10s", aliases=("latency", "took")
    ),
    QueryField("tokens", NUMBER, "Tokens of its model calls", "tokens:>10k"),
    QueryField("cost", NUMBER, "Cost of its model calls, in dollars", "cost:>0.1"),
    QueryField("steps", NUMBER, "How many steps it has", "steps:>100", aliases=("events",)),
    QueryField("errors", NUMBER, "How many steps failed", "errors:>0"),
    QueryField(
        "metadata", TEXT, "A value of the metadata", "metadata.plan:enterprise", "must",
        aliases=("meta",),
    ),
    QueryField(
        "id", TEXT, "The session's id, yours or ours, or its start", "id:conv-7",
        aliases=("session", "session_id"),
    ),
    QueryField("since", TIME, "Active at this time or later", "since:2h", aliases=("after",)),
    QueryField("until", TIME, "Last active on this day or earlier", "until:2026-01-31"),
    QueryField("before", TIME, "Last active before this time", "before:2026-01-01"),
    QueryField("started", TIME, "When it started", "started:>=2026-01-01", aliases=("start",)),
)  # fmt: skip

_BY_NAME = {name: field for field in FIELDS for name in (field.name, *field.aliases)}


def field_of(name: str) -> QueryField | None:
    """The row of a key or of another word for it, in any case."""
    return _BY_NAME.get(name.lower())


def close_names(name: str) -> list[str]:
    """The keys that a misspelled one may mean, best first."""
    return difflib.get_close_matches(name.lower(), _BY_NAME, 2, 0.6)
