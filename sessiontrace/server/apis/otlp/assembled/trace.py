"""One trace in a request: which session its spans name, and what they say of it.

No thread owns it. Invariant: of all claims that the spans of a trace make, the same one counts,
whatever the order in which they arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.model.ids import is_uuid
from sessiontrace.server.apis.otlp.assembled.parts import Parts
from sessiontrace.store.gathered import RATING, REFERENCE, SESSION, first_part

__all__ = [
    "LATE",
    "OF_TRACE",
    "ORPHANS",
    "OURS",
    "RATED",
    "ROOT",
    "SCOPE",
    "Claim",
    "Place",
    "Trace",
    "claimed_sessions",
    "elected_session",
    "refer",
]

SCOPE = "scope:"
"""Before the name of an instrumentation that recorded model calls of a trace."""
LATE = "late"
"""Whether a trace or session may have records of one call at different times."""
ROOT = "root"
"""The event at the root of a trace."""
ORPHANS, OURS = "orphans", "ours"
"""Whether a trace has spans whose parents came in other requests, and events of our SDK."""
RATED = "rated "
"""Before the rest of the key of a trace's score: the event or session that has it now."""
OF_TRACE = (SCOPE, f"{LATE} ", f"{ROOT} ", f"{ORPHANS} ", f"{OURS} ", f"{RATING} ", RATED)
"""What the keys of parts begin with that are the trace's alone."""


@attrs.frozen
class Claim:
    """The session that a span or log record names.

    ``reference``: the sender's id. ``rank``: the lower one counts, of several in one trace.
    ``is_own``: it holds for the span itself, whatever others of its trace say.
    """

    session_id: str
    reference: str
    rank: int
    is_own: bool


@attrs.define(eq=False)
class Trace:
    """One trace in a request: what its spans say of their session, and which one they name.

    ``facts``: its root, and the instrumentations that recorded its model calls. ``ratings``: its
    scores, by the keys of their parts. ``orphans``: the parents that the request has not, by their
    events' ids, as the ends of ids of our SDK. ``hidden``: events that are shown as parts of their
    parents, with these. ``own``: events of our SDK, by the ids that they
    would have as spans of another.

    ``target``: where the request wrote its followers, and the sender's ``reference`` for it.
    ``claimed``: it brought a new claim. ``is_settled``: the target still counts.
    """

    session_id: str
    parts: Parts = attrs.field(factory=Parts)
    claims: Parts = attrs.field(factory=Parts)
    facts: Parts = attrs.field(factory=Parts)
    ratings: dict[str, Any] = attrs.field(factory=dict)
    orphans: dict[str, str] = attrs.field(factory=dict)
    own: dict[str, str] = attrs.field(factory=dict)
    hidden: dict[str, str] = attrs.field(factory=dict)
    target: str = ""
    reference: str = ""
    claimed: bool = False
    is_settled: bool = True


@attrs.frozen
class Place:
    """Where a record goes.

    ``parts``: takes what the record says of its session. ``trace``: that it follows.
    """

    session_id: str
    parts: Parts
    trace: Trace | None


def refer(parts: Parts, session_id: str, reference: str) -> None:
    """Let a session remember the sender's own id."""
    if reference and not is_uuid(reference):
        parts.offer(REFERENCE, (0, 0, session_id), reference)


def elected_session(parts: Mapping[str, Any], alias: str) -> tuple[str, str]:
    """The session of a trace with these parts, and the sender's id for it."""
    first = first_part(parts, SESSION)
    if first is None:
        return alias, ""
    session_id, reference = first[1]
    return session_id, reference


def claimed_sessions(parts: Mapping[str, Any]) -> set[str]:
    """The sessions that spans of a trace name: its followers may be in any of them."""
    return {
        value[0]
        for key, value in parts.items()
        if value is not None and key.startswith(SESSION + " ")
    }
