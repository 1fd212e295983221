"""What a store is: the protocol that the server, the exporters and the command line rely on.

No thread owns it. Invariant: nothing outside ``store`` knows which database keeps the sessions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from sessiontrace.model.record import Record
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.histogram import Histogram
from sessiontrace.store.models import (
    Document,
    EventPage,
    EventQuery,
    PropertyCounts,
    SessionPage,
    SessionQuery,
    StoredSession,
)

__all__ = ["Store", "Stores"]


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
