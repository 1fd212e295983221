"""The values that go into a store and come out: statuses, summaries, queries, pages, documents.

Pure values, no thread owns them; everything that keeps or shows sessions speaks in these terms.
Invariant: a summary holds all that a list of sessions shows, so that a list never reads events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.store.query.terms import Pattern, Term, terms_of_time

__all__ = [
    "ABANDONED",
    "CANCELLED",
    "DEFAULT_PROJECT",
    "ENDED",
    "FAILED",
    "ID_MAX",
    "OPEN",
    "ORDERS",
    "Changes",
    "Cursor",
    "Document",
    "Erased",
    "EventPage",
    "EventQuery",
    "EventSummary",
    "Overdue",
    "PropertyCounts",
    "SessionPage",
    "SessionQuery",
    "SessionSummary",
    "StepGroup",
    "StoredCall",
    "StoredSession",
    "visible",
]

OPEN = "open"
ENDED = "ended"
ABANDONED = "abandoned"
CANCELLED = "cancelled"
FAILED = "failed"
"""What a list calls an ended session with an error of its own."""

ID_MAX = 512
"""The most characters of an event's or session's id: a longer one fits into no URL."""

DEFAULT_PROJECT = "default"
"""The project of requests that name none."""

ORDERS = (
    "active", "started", "name", "user", "source", "status", "duration", "steps", "errors",
    "tokens", "cost", "score",
)  # fmt: skip
"""What a list of sessions may be ordered by; "active" is the time of the last activity."""

Cursor = tuple[Any, str]
"""A position in the list of sessions: the value that the list is ordered by, and session id."""


@attrs.frozen
class SessionSummary:
    """One line in a list of sessions.

    Times are Unix ms, ``duration`` ms. ``end_time`` of an open session is the end of its latest
    event. ``status`` is "open", "ended", "abandoned" or "cancelled"; ``error`` is the session's own
    error, cut to 300 characters. ``events`` counts its steps, ``errors`` the failed steps,
    ``models`` the model calls; ``tokens`` and ``cost`` are sums over the model calls, and
    ``unpriced`` counts those that used tokens at an unknown cost. ``scores``: by name; the
    session's own score if set, otherwise the mean over its steps. ``last_active`` is when anything
    of it last began or ended, late steps included. ``labels``: of the session and of its steps.
    ``reviewed``: who reviewed it, "" for a reviewer without a name, None for a session that is not
    reviewed.
    """

    session_id: str
    name: str | None
    source: str | None
    user: str | None
    start_time: int
    end_time: int
    duration: float
    status: str
    error: str | None
    events: int
    errors: int
    models: int
    tokens: int
    cost: float
    unpriced: int = 0
    scores: Mapping[str, float] = attrs.field(factory=dict)
    last_active: int = 0
    labels: Sequence[str] = ()
    reviewed: str | None = None

    @property
    def outcome(self) -> str:
        """The status as people read it: an ended session with an error has "failed"."""
        return FAILED if self.status == ENDED and self.error is not None else self.status

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values, with the outcome."""
        return {**attrs.asdict(self), "outcome": self.outcome}


@attrs.frozen
class EventSummary:
    """One step of a session without its inputs and outputs; units as in ``SessionSummary``.

    ``start_nanos``: nanoseconds that it started after ``start_time``. ``model``: that a call named.
    ``first_chunk``: ms from the start to the first chunk of a streamed answer. ``unpriced``: it is
    a model call that used tokens at an unknown cost; its ``cost`` is 0 then. ``turn`` marks a
    turn of a conversation. ``parent_id`` names the session, another event, or an event that never
    arrived.
    """

    event_id: str
    session_id: str
    parent_id: str | None
    type: str
    name: str
    start_time: int
    end_time: int | None
    duration: float | None
    status: str
    turn: bool = attrs.field(converter=bool)
    error: str | None
    tokens: int
    cost: float
    unpriced: bool = attrs.field(converter=bool)
    first_chunk: float | None = None
    start_nanos: int = 0
    model: str | None = None


@attrs.frozen
class StepGroup:
    """The steps of one type and name in some sessions.

    ``type`` is "turn" for a turn of a conversation. ``sessions`` counts those with such a step,
    ``failed`` the steps with an error, ``durations`` are ms, of the steps that have ended.
    """

    type: str
    name: str
    steps: int
    sessions: int
    failed: int
    tokens: int
    cost_nano: int
    durations: Sequence[float]

    def with_group(self, other: StepGroup) -> StepGroup:
        """The steps of both groups, which have no session in common."""
        return StepGroup(
            self.type, self.name, self.steps + other.steps, self.sessions + other.sessions,
            self.failed + other.failed, self.tokens + other.tokens,
            self.cost_nano + other.cost_nano, [*self.durations, *other.durations],
        )  # fmt: skip


@attrs.frozen
class StoredSession:
    """A session with its steps in order of their start.

    ``record`` is the session's own record, updates merged in. ``omitted`` counts the steps
    beyond the query's limit.
    """

    summary: SessionSummary
    record: Mapping[str, Any]
    events: Sequence[EventSummary]
    omitted: int = 0


@attrs.frozen
class Erased:
    """What an erasure deleted. ``remains``: where bytes of it may be still, empty for nowhere.

    ``media``: images, sounds and files that no other session refers to; ``media_bytes``: how many
    bytes these have.
    """

    sessions: int = 0
    steps: int = 0
    remains: str = ""
    media: int = 0
    media_bytes: int = 0

    @property
    def complete(self) -> bool:
        """Whether no file of the store has a byte of it any more."""
        return not self.remains


@attrs.frozen
class Overdue:
    """What a rule of retention would delete of a store as it is now.

    ``aged``: sessions beyond the age; ``excess``: about how many of the others the size costs;
    ``oldest`` and ``newest``: when the first and the last of these were written (Unix ms).
    ``stored`` sessions are there in all, and take ``stored_bytes``; None where that is unknown.
    """

    aged: int = 0
    excess: int = 0
    oldest: int | None = None
    newest: int | None = None
    stored: int = 0
    stored_bytes: int | None = None

    @property
    def sessions(self) -> int:
        """How many sessions would be deleted."""
        return self.aged + self.excess


@attrs.frozen(kw_only=True)
class SessionQuery:
    """Which sessions to list, and in which order.

    All ``terms`` must fit. ``text`` is a free text as one term more: searched in name, user,
    source, ids, tags and metadata, in any case, and word by word in the content of session and
    steps.
    ``failed``: only sessions with an error of their own or of a step. ``since`` and ``until`` bound
    the last activity (Unix ms, until is exclusive). ``order`` is one of ``ORDERS``. ``after``
    continues after the last line of the previous page.
    """

    text: str = ""
    terms: Sequence[Term] = ()
    failed: bool = False
    since: int | None = None
    until: int | None = None
    order: str = "active"
    ascending: bool = False
    limit: int = 50
    after: Cursor | None = None

    @property
    def conditions(self) -> tuple[Term, ...]:
        """All of it as terms."""
        text = (Term("text", patterns=(Pattern(self.text),)),) if self.text else ()
        failed = (Term("failed"),) if self.failed else ()
        return (*terms_of_time(self.since, self.until), *failed, *text, *self.terms)


@attrs.frozen
class SessionPage:
    """Some lines of a list of sessions; ``next`` is the ``after`` of the following page."""

    sessions: Sequence[SessionSummary]
    next: Cursor | None


@attrs.frozen(kw_only=True)
class EventQuery:
    """Which whole records to return, latest start first, the sessions' own among them.

    ``session_id`` and ``event_id`` restrict the result, ``since`` and ``until`` bound the start
    (Unix ms, until exclusive), ``fits`` decides on the decoded record. ``skip`` and ``limit`` cut a
    page. ``folded``: also the events that are shown as parts of others.
    """

    session_id: str | None = None
    event_id: str | None = None
    since: int | None = None
    until: int | None = None
    fits: Callable[[Mapping[str, Any]], bool] | None = None
    skip: int = 0
    limit: int = 100
    folded: bool = False


@attrs.frozen
class StoredCall:
    """A model call that belongs together with another one.

    ``record``: as it arrived. ``patch``: its late updates, merged.
    """

    event_id: str
    session_id: str
    parent_id: str | None
    record: Mapping[str, Any]
    patch: Mapping[str, Any]


@attrs.frozen
class EventPage:
    """Whole records, and how many match the query in all."""

    events: Sequence[Mapping[str, Any]]
    count: int


@attrs.frozen
class Document:
    """An object that is not a record, such as a project of a vendor's API or an API key.

    ``kind`` and ``id`` name it; ``at`` (Unix ms) orders the documents of a kind. Writing one whose
    ``body`` is None deletes it.
    """

    kind: str
    id: str
    at: int
    body: Mapping[str, Any] | None


@attrs.frozen
class Changes:
    """What was written to a store since the previous query.

    ``events`` in order of arrival, ``sessions`` in their present state; ``last`` and ``at`` are the
    arguments of the next query.
    """

    events: Sequence[EventSummary]
    sessions: Sequence[SessionSummary]
    last: int
    at: int


class PropertyCounts(dict[str, "Counter[str]"]):
    """For each property, how many sessions have each text; ``count`` sessions were read."""

    count = 0


def visible(event_id: str | None, outer: Mapping[str, str]) -> str | None:
    """The event that shows this one. ``outer``: which one shows an event as a part of itself."""
    for _ in outer:
        if event_id is None or event_id not in outer:
            break
        event_id = outer[event_id]
    return event_id
