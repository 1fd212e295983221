"""What a store is: the protocol that the server, the exporters and the command line rely on.

No thread owns it. Invariant: nothing outside ``store`` knows which database keeps the sessions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sessiontrace.model.record import Record
from sessiontrace.store.dashboard.models import Breakdown, Dashboard, Period
from sessiontrace.store.dashboard.ranking import MOST_GROUPS
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.histogram import Histogram
from sessiontrace.store.judging.history import Judgement
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.media.references import Key
from sessiontrace.store.models import (
    Document,
    Erased,
    EventPage,
    EventQuery,
    EventSummary,
    Overdue,
    PropertyCounts,
    SessionPage,
    SessionQuery,
    StepGroup,
    StoredCall,
    StoredSession,
)

__all__ = ["Store", "Stores"]


class Store(Protocol):
    """Keeps sessions. Every method blocks, and raises ``StoreError`` when it fails.

    ``SqliteStore`` and ``ClickHouseStore`` implement it; the server knows nothing else of a store.
    """

    def open(self) -> None:
        """Open the store now, so that a fault shows at once."""
        ...

    def write(
        self, records: Sequence[Record | DecodedRecord], documents: Sequence[Document] = ()
    ) -> Mapping[int, str]:
        """Write records, all or none; returns the indices of invalid records, with the reasons.

        Records may arrive twice and in any order: the store shows each event once, in its final
        state. The same transaction writes or deletes ``documents``.
        """
        ...

    def forget(self, event_ids: Sequence[str]) -> int:
        """Delete events; returns how many were stored."""
        ...

    def erase(self, session_ids: Collection[str]) -> Erased:
        """Delete sessions with all their steps and texts, from the files too.

        Media that no other session refers to are deleted too.
        Words of the deleted sessions leave the search index. SQLite fills it again in the
        background, so a search finds less until then. What a program records into such a session
        afterwards is stored again.
        """
        ...

    def stored_media(self, keys: Collection[Key]) -> Mapping[Key, str]:
        """The SHA-256 of those of the media that are stored."""
        ...

    def keep_media(self, key: Key, content: Iterable[bytes], limits: MediaLimits) -> str:
        """Store a medium; returns its SHA-256, or the reason why it is refused (``limits``).

        It is deleted with the last session whose records refer to it, and after a day when no
        record has done so. Content whose hash is not the one in ``key`` is refused.
        """
        ...

    def medium(self, digest: str) -> bytes | None:
        """The bytes of a medium by its SHA-256; None when it is not stored."""
        ...

    def media_size(self) -> tuple[int, int]:
        """How many media are stored, and their bytes together."""
        ...

    def move(self, source: str, target: str, event_ids: Collection[str]) -> None:
        """Move those of the events that are in the session ``source``, with their late updates.

        Events whose parent is ``source`` then have ``target`` as parent. After an interruption, the
        same call completes it.
        """
        ...

    def gathered(self, session_ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """The parts that late updates gathered (``store.gathered``), for sessions with any."""
        ...

    def steps_of(self, session_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        """The ids of the events of these sessions, also of events with late updates only."""
        ...

    def children(self, session_id: str, parent_ids: Collection[str]) -> Mapping[str, str]:
        """The events of a session whose parent is one of these, each with its parent."""
        ...

    def ending_with(self, session_id: str, endings: Collection[str]) -> Mapping[str, str]:
        """The events of a session whose ids end with these 17 characters, by their endings."""
        ...

    def related_calls(
        self, session_ids: Collection[str], event_ids: Collection[str], *, beside: int | None
    ) -> Sequence[StoredCall] | None:
        """The model calls in, above and, with ``beside``, near others below one parent.

        ``beside``: how many ms may be between these; None: they are not looked at. The search
        begins at ``event_ids`` in ``session_ids`` and follows what belongs together; calls that
        nothing belongs to are left out. None where too many belong together
        (``related_calls.MOST``).
        """
        ...

    def trim(self, before: int | None, most_bytes: int | None, sessions: int = 200) -> int:
        """Delete the sessions that were idle longest, at most ``sessions``; returns how many.

        Deletes sessions last written before ``before`` (Unix ms), then as many as bring the file
        below ``most_bytes``. The time of writing counts, since imported sessions started long ago.
        """
        ...

    def overdue(self, before: int | None, most_bytes: int | None) -> Overdue:
        """What ``trim`` would delete now in all, without deleting it."""
        ...

    def database_days(self) -> float | None:
        """Days after which the database deletes records by itself, 0 for never.

        None: the store deletes by the rule of ``retention`` instead.
        """
        ...

    def cutoff(self, days: float) -> int:
        """The time (Unix ms) since when the store was in use for so many days.

        A wall clock that jumps ahead moves it by a day at most.
        """
        ...

    def index(self, most: int = 500) -> int:
        """Add at most ``most`` new records to the search index; returns how many are left."""
        ...

    def unindexed(self) -> int:
        """How many records search does not find yet."""
        ...

    def sessions(self, query: SessionQuery) -> SessionPage:
        """One page of the list of sessions."""
        ...

    def session(
        self, session_id: str, limit: int = 10_000, *, first_chunks: bool = True
    ) -> StoredSession | None:
        """A session with at most ``limit`` steps; None when it is not stored.

        Without ``first_chunks`` the steps lack the times of their first chunks, their models and
        nanoseconds, and the store need not read their records.
        """
        ...

    def sessions_known(self, session_ids: Collection[str]) -> frozenset[str]:
        """Those of the sessions whose own record is stored, not only events of them."""
        ...

    def previews(self, session_ids: Collection[str]) -> Mapping[str, str]:
        """By session, the first message by a user in its first steps, as one short line."""
        ...

    def event(self, event_id: str) -> Mapping[str, Any] | None:
        """The whole record of one event, updates merged in; None when it is not stored.

        Of an event that is shown as a part of another, ``folded`` is the id of that one.
        """
        ...

    def records(
        self, session_id: str, steps: Sequence[EventSummary], most_bytes: int
    ) -> Mapping[str, Mapping[str, Any]]:
        """The whole records of steps of a session by their ids, in the order of ``steps``.

        Stops behind the record that reaches ``most_bytes`` of JSON; the first one is always there.
        """
        ...

    def record(self, event_id: str) -> Mapping[str, Any] | None:
        """The whole record of an event or of a session; None when it is not stored."""
        ...

    def events(self, query: EventQuery) -> EventPage:
        """Whole records, across sessions."""
        ...

    def judgements(self, session_id: str) -> Sequence[Judgement]:
        """All judgements of a session and its steps, those that later ones replaced too."""
        ...

    def find_steps(self, session_id: str, text: str, limit: int = 10_000) -> Sequence[str]:
        """Ids of the steps of a session whose name, error or values have ``text``, in any case."""
        ...

    def document(self, kind: str, id: str) -> Mapping[str, Any] | None:
        """The body of a document; None when it is not stored."""
        ...

    def documents(
        self, kind: str, skip: int = 0, limit: int = 100, *, oldest_first: bool = False
    ) -> tuple[Sequence[Document], int]:
        """A page of the documents of a kind, latest first, and how many there are in all."""
        ...

    def count_properties(self, most: int) -> PropertyCounts:
        """Count the names, sources, users and error types of the latest ``most`` sessions."""
        ...

    def filter_values(self, sessions: int = 1_000) -> Mapping[str, Mapping[str, int]]:
        """How many of the latest ``sessions`` have each value, by key of the query language."""
        ...

    def histogram(self, query: SessionQuery, most: int = 60) -> Histogram | None:
        """Count the matching sessions by last activity and by duration; None without any."""
        ...

    def step_groups(self, session_ids: Collection[str]) -> Sequence[StepGroup]:
        """The steps of these sessions by type and name."""
        ...

    def dashboard(self, query: SessionQuery, period: Period) -> Dashboard:
        """The figures of the sessions that were last active in a period, and before it.

        ``since``, ``until``, ``order`` and ``limit`` of the query do not count.
        """
        ...

    def breakdown(
        self,
        query: SessionQuery,
        period: Period,
        by: str,
        rank: str = "cost",
        most: int = MOST_GROUPS,
    ) -> Breakdown:
        """The figures of a dashboard for each value of ``by``, one of ``DIMENSIONS``.

        The ``most`` groups that are first by ``rank``, one of ``RANKS``.
        """
        ...

    def version(self) -> int:
        """A number that changes when another connection has written."""
        ...

    def ids_with_prefix(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """At most ``limit`` ids of sessions that start with ``prefix``."""
        ...

    def close(self) -> None:
        """Close files and connections. The next call opens them again."""
        ...


class Stores(Protocol):
    """The stores of a server, one for each project. Every method may block."""

    @property
    def name(self) -> str:
        """Their place for people: a path, or a URL without user and password."""
        ...

    def open(self) -> None:
        """Open them now; ``StoreError`` says what is wrong."""
        ...

    def reader(self, project: str, limit_s: float) -> Store:
        """A store for one thread that reads, each query for at most ``limit_s`` seconds."""
        ...

    def writer(self, project: str) -> Store:
        """A store for one thread that writes."""
        ...

    def close(self) -> None:
        """Close what the stores share, after the stores themselves."""
        ...
