"""The store in one SQLite file (WAL), shared by several processes and the server.

Used by one thread at a time, behind a lock; each method blocks. Invariant: a call of ``write`` is
one transaction: when it returns, everything is on the disk, and when it raises, nothing is. No
connection stays open across a fork, because SQLite's locks do not hold in the child.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sessiontrace.model.errors import StoreBusyError, StoreError
from sessiontrace.model.record import Record
from sessiontrace.runtime.log import log_once, logger
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.throttle import throttled
from sessiontrace.store.dashboard.models import Breakdown, Dashboard, Period
from sessiontrace.store.dashboard.ranking import MOST_GROUPS
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.histogram import Histogram
from sessiontrace.store.judging.history import Judgement
from sessiontrace.store.media.files import MediaFiles
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.media.references import Key
from sessiontrace.store.models import (
    DEFAULT_PROJECT,
    Changes,
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
from sessiontrace.store.sqlite import (
    calls,
    deletion,
    files,
    media,
    moving,
    property_counts,
    queries,
    record_scan,
    rows,
    schema,
    search,
    use_clock,
)
from sessiontrace.store.sqlite import documents as stored_documents
from sessiontrace.store.sqlite.charts import breakdown as breakdowns
from sessiontrace.store.sqlite.charts import dashboard as dashboards
from sessiontrace.store.sqlite.charts import histogram, hours
from sessiontrace.store.sqlite.deletion import Trimmed
from sessiontrace.store.sqlite.files import FileIdentity
from sessiontrace.store.sqlite.fork_safety import rest_at_forks
from sessiontrace.store.sqlite.fresh.event_row import Row
from sessiontrace.store.sqlite.fresh.outline import outlines

__all__ = ["SqliteStore", "SqliteStores"]

T = TypeVar("T")

_FORK_WAIT_S = 2.0
_STEPS_BETWEEN_CHECKS = 20_000
_ATTEMPTS = 3  # each after the file was replaced
_DAY_S = 86_400.0
_TOGETHER = 16  # records between two looks at the clock
_INFO, _WARNING = 20, 30  # as in logging, which is imported when there is something to log


def _with_pauses(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    pieces = range(0, len(items), _TOGETHER)
    return throttled(items[start : start + _TOGETHER] for start in pieces)


def _moment(unix_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(unix_ms / 1000))


class SqliteStore:
    """A ``Store`` in the file ``path``, opened with the first call.

    ``read_only``: never writes, creates or migrates the file. ``busy_s``: how long to wait for
    another writer before ``StoreBusyError``. ``limit_s``: how long a read may take before
    ``StoreTimeoutError``; None for as long as it takes. ``aside``: pause often while writing, for
    the sake of an application in the same process; a server would only be slower by it.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        busy_s: float = 1.0,
        limit_s: float | None = None,
        aside: bool = False,
    ) -> None:
        self.path = path
        self._media = MediaFiles(path.with_name(f"{path.name}.media"))
        self._walk: rows.Walk = _with_pauses if aside else rows.at_once
        self._aside = aside
        self._read_only = read_only
        self._busy_s = busy_s
        self._limit_s = limit_s
        self._deadline = 0.0
        self._lock = ReentrantLock()
        self._connection: sqlite3.Connection | None = None
        self._identity: FileIdentity | None = None  # of the files that are open
        self._reopened = 0
        self._warning_due: dict[str, float] = {}  # by the reason of a deletion
        rest_at_forks(self)

    def open(self) -> None:
        """Create or migrate the file now, so that a fault shows at once."""
        self._run(lambda connection: None)

    def write(
        self, records: Sequence[Record | DecodedRecord], documents: Sequence[Document] = ()
    ) -> Mapping[int, str]:
        legal: list[DecodedRecord | Row] = []
        refused: dict[int, str] = {}
        now = time.time_ns() // 1_000_000
        first = 0
        for piece in self._walk(records):
            legal += outlines(piece, first, now, refused)
            first += len(piece)
        if legal or documents:
            self._run(lambda connection: rows.write(connection, legal, documents, self._walk))
        return refused

    def forget(self, event_ids: Sequence[str]) -> int:
        return self._run(lambda connection: deletion.forget(connection, event_ids))

    def erase(self, session_ids: Collection[str]) -> Erased:
        return self._run(lambda connection: deletion.erase(connection, session_ids, self._media))

    def stored_media(self, keys: Collection[Key]) -> Mapping[Key, str]:
        return self._run(lambda connection: media.stored(connection, keys))

    def keep_media(self, key: Key, content: Iterable[bytes], limits: MediaLimits) -> str:
        chunks = throttled(content) if self._aside else content
        return self._run(
            lambda connection: media.keep(connection, self._media, key, chunks, limits)
        )

    def medium(self, digest: str) -> bytes | None:
        return self._media.read(digest)

    def media_size(self) -> tuple[int, int]:
        return self._read(media.size)

    def move(self, source: str, target: str, event_ids: Collection[str]) -> None:
        self._run(lambda connection: moving.move(connection, source, target, event_ids))

    def gathered(self, session_ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        return self._read(lambda connection: moving.gathered(connection, session_ids))

    def steps_of(self, session_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        return self._read(lambda connection: moving.steps_of(connection, session_ids))

    def children(self, session_id: str, parent_ids: Collection[str]) -> Mapping[str, str]:
        return self._read(lambda connection: calls.children(connection, session_id, parent_ids))

    def ending_with(self, session_id: str, endings: Collection[str]) -> Mapping[str, str]:
        return self._read(lambda connection: calls.ending_with(connection, session_id, endings))

    def related_calls(
        self, session_ids: Collection[str], event_ids: Collection[str], *, beside: int | None
    ) -> Sequence[StoredCall] | None:
        return self._read(
            lambda connection: calls.related(calls.Stored(connection), event_ids, beside)
        )

    def trim(self, before: int | None, most_bytes: int | None, sessions: int = 200) -> int:
        trimmed = self._run(
            lambda connection: deletion.trim(connection, before, most_bytes, sessions, self._media)
        )
        if trimmed.sessions:
            self._log(trimmed)
        return trimmed.sessions

    def overdue(self, before: int | None, most_bytes: int | None) -> Overdue:
        return self._read(lambda connection: deletion.overdue(connection, before, most_bytes))

    def database_days(self) -> float | None:
        return None

    def cutoff(self, days: float) -> int:
        return self._run(lambda connection: use_clock.cutoff(connection, days))

    def index(self, most: int = 500) -> int:
        return self._run(
            lambda connection: search.index(connection, most) + hours.sum_up(connection)
        )

    def sessions(self, query: SessionQuery) -> SessionPage:
        return self._read(lambda connection: queries.sessions(connection, query))

    def session(
        self, session_id: str, limit: int = 10_000, *, first_chunks: bool = True
    ) -> StoredSession | None:
        return self._read(
            lambda connection: queries.session(connection, session_id, limit, first_chunks)
        )

    def sessions_known(self, session_ids: Collection[str]) -> frozenset[str]:
        return self._read(lambda connection: queries.sessions_known(connection, session_ids))

    def previews(self, session_ids: Collection[str]) -> Mapping[str, str]:
        return self._read(lambda connection: queries.previews(connection, session_ids))

    def event(self, event_id: str) -> Mapping[str, Any] | None:
        return self._read(lambda connection: queries.event(connection, event_id))

    def records(
        self, session_id: str, steps: Sequence[EventSummary], most_bytes: int
    ) -> Mapping[str, Mapping[str, Any]]:
        ids = [step.event_id for step in steps]
        return self._read(lambda connection: queries.records(connection, ids, most_bytes))

    def record(self, event_id: str) -> Mapping[str, Any] | None:
        return self._read(lambda connection: queries.record(connection, event_id))

    def events(self, query: EventQuery) -> EventPage:
        return self._read(lambda connection: record_scan.events(connection, query))

    def judgements(self, session_id: str) -> Sequence[Judgement]:
        return self._read(lambda connection: record_scan.judgements(connection, session_id))

    def find_steps(self, session_id: str, text: str, limit: int = 10_000) -> Sequence[str]:
        return self._read(
            lambda connection: record_scan.find_steps(connection, session_id, text, limit)
        )

    def document(self, kind: str, id: str) -> Mapping[str, Any] | None:
        return self._read(lambda connection: stored_documents.document(connection, kind, id))

    def documents(
        self, kind: str, skip: int = 0, limit: int = 100, *, oldest_first: bool = False
    ) -> tuple[Sequence[Document], int]:
        return self._read(
            lambda connection: stored_documents.documents(
                connection, kind, skip, limit, oldest_first
            )
        )

    def count_properties(self, most: int) -> PropertyCounts:
        return self._read(lambda connection: property_counts.count_properties(connection, most))

    def filter_values(self, sessions: int = 1_000) -> Mapping[str, Mapping[str, int]]:
        return self._read(lambda connection: property_counts.filter_values(connection, sessions))

    def histogram(self, query: SessionQuery, most: int = 60) -> Histogram | None:
        """Count the matching sessions over time and by duration; None when there is none."""
        return self._read(lambda connection: histogram.histogram(connection, query, most))

    def step_groups(self, session_ids: Collection[str]) -> Sequence[StepGroup]:
        return self._read(lambda connection: property_counts.step_groups(connection, session_ids))

    def dashboard(self, query: SessionQuery, period: Period) -> Dashboard:
        return self._read(lambda connection: dashboards.dashboard(connection, query, period))

    def breakdown(
        self,
        query: SessionQuery,
        period: Period,
        by: str,
        rank: str = "cost",
        most: int = MOST_GROUPS,
    ) -> Breakdown:
        order = rank, most
        return self._read(
            lambda connection: breakdowns.breakdown(connection, query, period, by, order)
        )

    def changes(self, after: int | None, since: int) -> Changes:
        """What was written: events after the row ``after``, sessions written at ``since`` or later.

        ``after`` None: no events, only the row to continue from.
        """
        return self._read(lambda connection: queries.changes(connection, after, since))

    def unindexed(self) -> int:
        """How many records search does not find yet."""
        return self._read(search.unindexed)

    def version(self) -> int:
        """A number that changes with every commit of another connection."""
        return self._run(
            lambda connection: (
                int(connection.execute("PRAGMA data_version").fetchone()[0])
                + (self._reopened << 32)
            )
        )

    def ids_with_prefix(self, prefix: str, limit: int = 10) -> Sequence[str]:
        return self._read(lambda connection: queries.ids_with_prefix(connection, prefix, limit))

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _log(self, trimmed: Trimmed) -> None:
        """A line for each step; the first of a day is a warning, as deleted sessions are gone."""
        due = time.monotonic() >= self._warning_due.get(trimmed.reason, 0.0)
        if due:
            self._warning_due[trimmed.reason] = time.monotonic() + _DAY_S
        logger().log(
            _WARNING if due else _INFO,
            "%s: retention by %s deleted %d sessions, written last between %s and %s (UTC); "
            "%d more are over the limit%s",
            self.path, trimmed.reason, trimmed.sessions,
            _moment(trimmed.oldest), _moment(trimmed.newest), trimmed.left,
            f"; {trimmed.media} media went with them" if trimmed.media else "",
        )  # fmt: skip

    def _run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._lock:
                for _ in range(_ATTEMPTS):
                    connection = self._current()
                    try:
                        result = job(connection)
                    except sqlite3.Error:
                        if self._in_place():
                            raise
                    else:
                        if self._in_place():
                            return result
                    # It went into a file that has lost its name: once more, into the one there is.
                raise StoreBusyError(f"{self.path} is replaced again and again; try again")
        except (sqlite3.Error, OSError) as error:
            raise schema.translate(error, self.path) from error

    def _in_place(self) -> bool:
        return files.in_place(self._identity, files.identity(self.path))

    def _current(self) -> sqlite3.Connection:
        """The connection to the files that have the store's names now. The lock is held."""
        connection = self._connection
        if connection is not None and not self._in_place():
            log_once(
                f"store:{self.path}", "%s was removed or replaced while in use; opened again",
                self.path,
            )  # fmt: skip
            files.save_log(connection, self.path, self._identity)
            self.close()
            files.remove_stale_log(self.path, self._identity)
            self._reopened += 1
            connection = None
        if connection is None:
            connection = self._connection = self._open()
            self._identity = files.identity(self.path)
        return connection

    def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        def snapshot(connection: sqlite3.Connection) -> T:
            if self._limit_s is not None:
                self._deadline = time.monotonic() + self._limit_s
            connection.execute("BEGIN")
            try:
                return job(connection)
            finally:
                self._deadline = 0.0
                connection.execute("ROLLBACK")

        return self._run(snapshot)

    def _open(self) -> sqlite3.Connection:
        if not self._read_only:
            files.create(self.path)
        elif not self.path.exists():
            raise StoreError(f"{self.path} does not exist: no session was stored there yet")
        connection = schema.connect(self.path, busy_s=self._busy_s, read_only=self._read_only)
        try:
            if self._read_only:
                schema.check(connection, self.path)
            else:
                schema.migrate(connection, self.path, busy_s=self._busy_s)
                self._observe(connection)
            if self._limit_s is not None:
                connection.set_progress_handler(self._overdue, _STEPS_BETWEEN_CHECKS)
        except BaseException:
            connection.close()
            raise
        return connection

    def _observe(self, connection: sqlite3.Connection) -> None:
        """Let retention know that the store is in use now."""
        try:
            use_clock.observe(connection)
        except sqlite3.Error:  # another process writes, or the disk is full: what follows says so
            return

    def _overdue(self) -> int:
        return int(0.0 < self._deadline < time.monotonic())

    def before_fork(self) -> bool:
        # Bounded: a fork must not hang because a disk does; the child may then find the lock taken.
        if not self._lock.acquire(timeout=_FORK_WAIT_S):
            return False
        try:
            self.close()
        except sqlite3.Error:  # the connection is dropped all the same
            pass
        return True

    def after_fork(self) -> None:
        self._lock.release()


class SqliteStores:
    """A ``Stores``: the default project in the file ``path``, other projects in files beside it.

    ``read_only``: never creates or migrates a file; a project without one is a ``StoreError``.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._creating = ReentrantLock()

    @property
    def name(self) -> str:
        return str(self._path)

    def open(self) -> None:
        if self._read_only:
            return
        store = self.writer(DEFAULT_PROJECT)
        store.open()
        store.close()

    def reader(self, project: str, limit_s: float) -> SqliteStore:
        path = self._of(project)
        if not self._read_only:  # a reader creates no file, and a writer may be creating it now
            with self._creating:
                if not schema.is_created(path):
                    store = self.writer(project)
                    store.open()
                    store.close()
        return SqliteStore(path, read_only=True, limit_s=limit_s)

    def writer(self, project: str) -> SqliteStore:
        return SqliteStore(self._of(project), busy_s=5.0)

    def close(self) -> None:
        """Nothing is shared."""

    def _of(self, project: str) -> Path:
        if project == DEFAULT_PROJECT:
            return self._path
        return self._path.with_name(f"{self._path.stem}@{project}{self._path.suffix}")
