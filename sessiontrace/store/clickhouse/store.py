"""The store in ClickHouse: one project of a database that any number of servers share.

Any thread may call it; each method blocks. Invariant: when ``write`` returns, everything is on the
server's disk; when it raises, a part may be, and writing the same again completes it and shows
nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sessiontrace.model.record import UPDATE, Record
from sessiontrace.store import folding
from sessiontrace.store.clickhouse import (
    calls,
    deletion,
    media,
    moving,
    queries,
    record_scan,
    rows,
    schema,
    session_list,
)
from sessiontrace.store.clickhouse import documents as stored_documents
from sessiontrace.store.clickhouse.charts import dashboard as dashboards
from sessiontrace.store.clickhouse.charts import histogram as charts
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.rollups.filling import SETTLED_S, Filling
from sessiontrace.store.clickhouse.url import Address
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

__all__ = ["ClickHouseStore", "ClickHouseStores"]

_IDS_AT_ONCE = 1_000
_DAY_MS = 86_400_000

# Parts come with every insert and go with every merge: a merge changes the number too, and the
# page then asks once in vain.
_VERSION = """
SELECT bitAnd(sum(cityHash64(table, name)), 0x7fffffffffffffff) FROM system.parts
WHERE database = currentDatabase() AND active AND table IN ('events', 'patches')
"""


class ClickHouseStore:
    """A ``Store`` of one ``project`` over ``connection``, which it shares and does not close.

    ``limit_s``: how long reading whole records across sessions may take in all; the connection
    bounds each query.
    """

    def __init__(
        self, connection: Connection, project: str, *, limit_s: float | None = None
    ) -> None:
        self.project = project
        self._connection = connection
        self._limit_s = limit_s
        self._filling = Filling(connection, project)

    def open(self) -> None:
        schema.check(self._connection)

    def write(
        self, records: Sequence[Record | DecodedRecord], documents: Sequence[Document] = ()
    ) -> Mapping[int, str]:
        whole: list[DecodedRecord] = []
        updates: list[DecodedRecord] = []
        refused: dict[int, str] = {}
        for index, record in enumerate(records):
            decoded = folding.decode(record)
            if isinstance(decoded, str):
                refused[index] = decoded
            else:
                (updates if decoded.kind == UPDATE else whole).append(decoded.whole())
        self._insert(whole, updates, documents)
        return refused

    def _insert(
        self,
        whole: Sequence[DecodedRecord],
        updates: Sequence[DecodedRecord],
        documents: Sequence[Document],
    ) -> None:
        tables: dict[str, rows.Columns] = {}
        if whole:
            tables["events"] = rows.events(self.project, whole)
        if updates:
            tables["patches"] = rows.patches(self.project, updates)
        if uses := media.uses(self.project, [*whole, *updates]):
            tables["media_uses"] = uses
        if documents:
            stored = stored_documents.versions(self._connection, self.project, documents)
            tables["notes"] = rows.documents(self.project, documents, stored)
        if tables:
            self._connection.insert(tables)

    def forget(self, event_ids: Sequence[str]) -> int:
        ids = sorted(set(event_ids))
        return sum(
            deletion.forget(self._connection, self.project, ids[begin : begin + _IDS_AT_ONCE])
            for begin in range(0, len(ids), _IDS_AT_ONCE)
        )

    def erase(self, session_ids: Collection[str]) -> Erased:
        ids = sorted(set(session_ids))
        return deletion.erase(self._connection, self.project, ids)

    def stored_media(self, keys: Collection[Key]) -> Mapping[Key, str]:
        return media.stored(self._connection, self.project, keys)

    def keep_media(self, key: Key, content: Iterable[bytes], limits: MediaLimits) -> str:
        return media.keep(self._connection, self.project, key, content, limits)

    def medium(self, digest: str) -> bytes | None:
        return media.medium(self._connection, self.project, digest)

    def media_size(self) -> tuple[int, int]:
        return media.size(self._connection, self.project)

    def move(self, source: str, target: str, event_ids: Collection[str]) -> None:
        media.share(self._connection, self.project, source, target)
        moving.move(self._connection, self.project, source, target, event_ids)

    def gathered(self, session_ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        return moving.gathered(self._connection, self.project, session_ids)

    def steps_of(self, session_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
        return moving.steps_of(self._connection, self.project, session_ids)

    def children(self, session_id: str, parent_ids: Collection[str]) -> Mapping[str, str]:
        return calls.children(self._connection, self.project, session_id, parent_ids)

    def ending_with(self, session_id: str, endings: Collection[str]) -> Mapping[str, str]:
        return calls.ending_with(self._connection, self.project, session_id, endings)

    def related_calls(
        self, session_ids: Collection[str], event_ids: Collection[str], *, beside: int | None
    ) -> Sequence[StoredCall] | None:
        stored = calls.Stored(self._connection, self.project, session_ids)
        return calls.related(stored, event_ids, beside)

    def trim(self, before: int | None, most_bytes: int | None, sessions: int = 200) -> int:
        return 0  # the tables' TTL does it, by the clock of ClickHouse

    def overdue(self, before: int | None, most_bytes: int | None) -> Overdue:
        return deletion.overdue(self._connection, self.project, before)

    def database_days(self) -> float | None:
        return float(schema.days_kept(self._connection))

    def cutoff(self, days: float) -> int:
        return time.time_ns() // 1_000_000 - round(days * _DAY_MS)

    def index(self, most: int = 500) -> int:
        return self._filling.step()  # the search index needs none: ClickHouse indexes as it inserts

    def fill(self, settled_s: int = SETTLED_S) -> None:
        """Make the roll-ups of all sessions that nothing was written of for ``settled_s``."""
        Filling(self._connection, self.project, settled_s).complete()

    def unindexed(self) -> int:
        return 0

    def sessions(self, query: SessionQuery) -> SessionPage:
        return session_list.sessions(self._connection, self.project, query)

    def session(
        self, session_id: str, limit: int = 10_000, *, first_chunks: bool = True
    ) -> StoredSession | None:
        return queries.session(self._connection, self.project, session_id, limit, first_chunks)

    def sessions_known(self, session_ids: Collection[str]) -> frozenset[str]:
        ids = sorted(session_ids)
        stored: frozenset[str] = frozenset()
        for begin in range(0, len(ids), _IDS_AT_ONCE):
            chunk = ids[begin : begin + _IDS_AT_ONCE]
            stored |= queries.sessions_known(self._connection, self.project, chunk)
        return stored

    def previews(self, session_ids: Collection[str]) -> Mapping[str, str]:
        return queries.previews(self._connection, self.project, session_ids)

    def event(self, event_id: str) -> Mapping[str, Any] | None:
        return queries.event(self._connection, self.project, event_id)

    def records(
        self, session_id: str, steps: Sequence[EventSummary], most_bytes: int
    ) -> Mapping[str, Mapping[str, Any]]:
        return queries.records(self._connection, self.project, session_id, steps, most_bytes)

    def record(self, event_id: str) -> Mapping[str, Any] | None:
        return queries.record(self._connection, self.project, event_id)

    def events(self, query: EventQuery) -> EventPage:
        return record_scan.events(self._connection, self.project, query, self._limit_s)

    def judgements(self, session_id: str) -> Sequence[Judgement]:
        return record_scan.judgements(self._connection, self.project, session_id)

    def find_steps(self, session_id: str, text: str, limit: int = 10_000) -> Sequence[str]:
        return queries.find_steps(self._connection, self.project, session_id, text, limit)

    def document(self, kind: str, id: str) -> Mapping[str, Any] | None:
        return stored_documents.document(self._connection, self.project, kind, id)

    def documents(
        self, kind: str, skip: int = 0, limit: int = 100, *, oldest_first: bool = False
    ) -> tuple[Sequence[Document], int]:
        return stored_documents.documents(
            self._connection, self.project, kind, skip, limit, oldest_first
        )

    def count_properties(self, most: int) -> PropertyCounts:
        return charts.count_properties(self._connection, self.project, most)

    def filter_values(self, sessions: int = 1_000) -> Mapping[str, Mapping[str, int]]:
        return charts.filter_values(self._connection, self.project, sessions)

    def histogram(self, query: SessionQuery, most: int = 60) -> Histogram | None:
        return charts.histogram(self._connection, self.project, query, most)

    def step_groups(self, session_ids: Collection[str]) -> Sequence[StepGroup]:
        return charts.step_groups(self._connection, self.project, session_ids)

    def dashboard(self, query: SessionQuery, period: Period) -> Dashboard:
        return dashboards.dashboard(self._connection, self.project, query, period)

    def breakdown(
        self,
        query: SessionQuery,
        period: Period,
        by: str,
        rank: str = "cost",
        most: int = MOST_GROUPS,
    ) -> Breakdown:
        order = rank, most
        return dashboards.breakdown(self._connection, self.project, query, period, by, order)

    def version(self) -> int:
        return int(self._connection.query(Query(_VERSION))[0][0])

    def ids_with_prefix(self, prefix: str, limit: int = 10) -> Sequence[str]:
        return queries.ids_with_prefix(self._connection, self.project, prefix, limit)

    def close(self) -> None:
        """The connection stays open: other stores share it."""


class ClickHouseStores:
    """A ``Stores`` of the database at ``address``: projects are a column of its tables.

    ``read_s``: how long one query may take, in seconds.
    """

    def __init__(self, address: Address, *, read_s: float = 2.0) -> None:
        self._address = address
        self._reading = Connection(address, limit_s=read_s)
        self._writing = Connection(address)

    @property
    def name(self) -> str:
        return str(self._address)

    def open(self) -> None:
        schema.check(self._writing)

    def reader(self, project: str, limit_s: float) -> ClickHouseStore:
        return ClickHouseStore(self._reading, project, limit_s=limit_s)

    def writer(self, project: str) -> ClickHouseStore:
        return ClickHouseStore(self._writing, project)

    def close(self) -> None:
        self._reading.close()
        self._writing.close()
