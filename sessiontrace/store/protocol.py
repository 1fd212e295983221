"""What a store is: the protocol, and the values that go in and come out.

Pure values, no thread owns them; everything that keeps or shows sessions speaks in these terms.
Invariant: a summary holds all that a list of sessions shows, so that a list never reads events.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from sessiontrace.model.errors import StoreError
from sessiontrace.model.record import Record
from sessiontrace.store.sqlite.property_counts import PropertyCounts

if TYPE_CHECKING:
    from sessiontrace.store.folding import DecodedRecord
    from sessiontrace.store.histogram import Histogram

__all__ = [
    "ABANDONED",
    "CANCELLED",
    "DEFAULT_PROJECT",
    "ENDED",
    "OPEN",
    "Changes",
    "Cursor",
    "Document",
    "EventPage",
    "EventQuery",
    "EventSummary",
    "SessionPage",
    "SessionQuery",
    "SessionSummary",
    "Store",
    "StoreBusyError",
    "StoreTimeoutError",
    "StoredSession",
    "Stores",
]

OPEN = "open"
ENDED = "ended"
ABANDONED = "abandoned"
CANCELLED = "cancelled"

DEFAULT_PROJECT = "default"
"""The project of whoever names none."""

Cursor = tuple[int, str]
"""A place in the list of sessions: start in Unix ms, and session id."""


class StoreBusyError(StoreError):
    """Another process is writing to the store and took longer than we wait; try again."""


class StoreTimeoutError(StoreError):
    """Reading took longer than its limit and was given up."""


@attrs.frozen
class SessionSummary:
    """One line in a list of sessions.

    Times are Unix ms, ``duration`` ms. ``end_time`` of an open session is the last moment anything
    was seen of it. ``status`` is "open", "ended", "abandoned" or "cancelled"; ``error`` the
    session's own error, cut to 300 characters. ``events`` counts its steps, ``errors`` those of
    them that failed, ``models`` the model calls; ``tokens`` and ``cost`` are sums over those.
    ``scores``: what it was judged with, by name: its own, else the mean of its steps'.
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
    scores: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen
class EventSummary:
    """One step of a session without its inputs and outputs; units as in ``SessionSummary``.

    ``first_chunk``: ms from the start to the first chunk of a streamed answer. ``turn`` tells a
    turn of a conversation. ``parent_id`` may name the session, another event, or
    an event that never arrived.
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
    first_chunk: float | None = None


@attrs.frozen
class StoredSession:
    """A session with its steps in order of their start.

    ``record`` is the session's own record, updates merged in. ``omitted`` counts steps beyond the
    limit that was asked for.
    """

    summary: SessionSummary
    record: Mapping[str, Any]
    events: Sequence[EventSummary]
    omitted: int = 0


@attrs.frozen(kw_only=True)
class SessionQuery:
    """Which sessions to list, latest start first.

    ``text`` is looked for in name, user and source, whatever its case, and word by word in the
    names, inputs, outputs and errors of session and steps. ``failed``: only sessions
    with an error. ``since`` and ``until`` bound the start (Unix ms, until is exclusive). ``after``
    continues behind the last line of the page before.
    """

    text: str = ""
    failed: bool = False
    since: int | None = None
    until: int | None = None
    limit: int = 50
    after: Cursor | None = None


@attrs.frozen
class SessionPage:
    """Some lines of a list of sessions; ``next`` is the ``after`` of the following page."""

    sessions: Sequence[SessionSummary]
    next: Cursor | None


@attrs.frozen(kw_only=True)
class EventQuery:
    """Which records to give back whole, latest start first; sessions' own records among them.

    ``session_id`` and ``event_id`` narrow it down, ``since`` and ``until`` bound the start (Unix
    ms, until exclusive), ``fits`` decides on the decoded record. ``skip`` and ``limit`` cut a page.
    """

    session_id: str | None = None
    event_id: str | None = None
    since: int | None = None
    until: int | None = None
    fits: Callable[[Mapping[str, Any]], bool] | None = None
    skip: int = 0
    limit: int = 100


@attrs.frozen
class EventPage:
    """Whole records, and how many fit the query in all."""

    events: Sequence[Mapping[str, Any]]
    count: int


@attrs.frozen
class Document:
    """Something a vendor's API has to remember that is no record, such as a project.

    ``kind`` and ``id`` name it; ``at`` (Unix ms) orders notes of a kind. ``body`` None takes the
    note away.
    """

    kind: str
    id: str
    at: int
    body: Mapping[str, Any] | None


@attrs.frozen
class Changes:
    """What was written to a store since it was last asked.

    ``events`` in the order they came, ``sessions`` in their present state; ``last`` and ``at`` are
    what to ask with the next time.
    """

    events: Sequence[EventSummary]
    sessions: Sequence[SessionSummary]
    last: int
    at: int


class Store(Protocol):
    """Where sessions are kept. Every method blocks, and raises ``StoreError`` when it cannot.

    This is all that the server knows of a store; ``SqliteStore`` and ``ClickHouseStore`` are two.
    """

    def open(self) -> None:
        """Reach the store now, so that what is wrong with it shows at once."""
        ...

    def write(
        self, records: Sequence[Record | DecodedRecord], notes: Sequence[Document] = ()
    ) -> Mapping[int, str]:
        """Take records, all or none; the indices of those that are no legal records, and why.

        Records may come again and in any order: each event is shown once, in its final state.
        ``notes`` are kept, or taken away, in the same transaction.
        """
        ...

    def forget(self, event_ids: Sequence[str]) -> int:
        """Delete events; how many there were."""
        ...

    def trim(self, before: int | None, most_bytes: int | None, sessions: int = 200) -> int:
        """Delete the sessions not written to for longest, at most ``sessions``; how many.

        Those last written to before ``before`` (Unix ms), and as many as it takes to bring the
        file below ``most_bytes``. By writing, not by start: sessions that were imported are old.
        """
        ...

    def index(self, most: int = 500) -> int:
        """Read what was written since into the search index; how much is left to read."""
        ...

    def unindexed(self) -> int:
        """How much was written that search does not find yet."""
        ...

    def sessions(self, query: SessionQuery) -> SessionPage:
        """One page of the list of sessions."""
        ...

    def session(self, session_id: str, limit: int = 10_000) -> StoredSession | None:
        """A session with at most ``limit`` steps; None when it is not here."""
        ...

    def sessions_known(self, session_ids: Collection[str]) -> frozenset[str]:
        """Those of the sessions whose own record is here; of others events came, at most."""
        ...

    def event(self, event_id: str) -> Mapping[str, Any] | None:
        """The whole record of one event, updates merged in; None when it is not here."""
        ...

    def record(self, event_id: str) -> Mapping[str, Any] | None:
        """The whole record of an event or, by its id, of a session; None when it is not here."""
        ...

    def events(self, query: EventQuery) -> EventPage:
        """Whole records, across sessions."""
        ...

    def find_steps(self, session_id: str, text: str, limit: int = 10_000) -> Sequence[str]:
        """Ids of the steps of a session whose record has ``text`` in it, whatever its case."""
        ...

    def note(self, kind: str, id: str) -> Mapping[str, Any] | None:
        """The body of a note; None when there is none."""
        ...

    def notes(
        self, kind: str, skip: int = 0, limit: int = 100, *, oldest_first: bool = False
    ) -> tuple[Sequence[Document], int]:
        """A page of the notes of a kind, latest first, and how many there are in all."""
        ...

    def count_properties(self, most: int) -> PropertyCounts:
        """What the latest ``most`` sessions say of themselves in texts, counted."""
        ...

    def histogram(self, query: SessionQuery, most: int = 60) -> Histogram | None:
        """The sessions that fit, counted over time and over durations; None without any."""
        ...

    def version(self) -> int:
        """A number that is another one after somebody else has written."""
        ...

    def ids_with_prefix(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """Ids of sessions that start with ``prefix``, at most ``limit``."""
        ...

    def close(self) -> None:
        """Let go of files. A closed store opens again with the next call."""
        ...


class Stores(Protocol):
    """The stores of a server, one for each project. Every method may block."""

    @property
    def name(self) -> str:
        """What to show of where they are: a path, or a URL without user and password."""
        ...

    def open(self) -> None:
        """Reach them now; ``StoreError`` tells what is wrong."""
        ...

    def reader(self, project: str, limit_s: float) -> Store:
        """A store for one thread that reads, each question for at most ``limit_s`` seconds."""
        ...

    def writer(self, project: str) -> Store:
        """A store for one thread that writes."""
        ...

    def close(self) -> None:
        """Let go of what the stores share; they are closed before."""
        ...
