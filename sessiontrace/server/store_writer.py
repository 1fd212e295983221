"""Writing to the store beside the loop: one thread, and many requests in one transaction.

``take`` and ``transact`` are awaited on the server's loop; everything else runs on the writer
thread. What waits when a transaction ends goes into the next one together (a group commit), so
that a hundred small requests cost one sync of the disk. Invariant: a caller is answered only when
what it brought is on the disk, and what waits is bounded. When nobody waits, and for a moment of
each half second when somebody always does, the thread reads what was written into the search index
and takes away what is too old.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from sessiontrace.model.errors import StoreBusyError, StoreError
from sessiontrace.model.record import Record
from sessiontrace.runtime.log import logger
from sessiontrace.runtime.threadsafe_future import ThreadsafeFuture
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.store import retention
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.models import DEFAULT_PROJECT, Document
from sessiontrace.store.protocol import Store, Stores
from sessiontrace.store.retention import Retention

__all__ = ["Change", "Retention", "StoreWriter"]

T = TypeVar("T")

_GROUP_RECORDS = 20_000
_WAITING_BYTES = 64 << 20
_IDLE_S = 0.25
_TIDY_WITHIN_S = 0.5
_TRIM_EVERY_S = 60.0


@attrs.frozen
class Change:
    """What a plan asks for: records and notes to write, and events to delete."""

    records: Sequence[Record] = ()
    notes: Sequence[Document] = ()
    forget: Sequence[str] = ()


@attrs.define(eq=False)
class _Job:
    """One request's share of a transaction; ``plan`` reads the store before anything is written."""

    outcome: ThreadsafeFuture[Any]
    project: str
    records: Sequence[Record | DecodedRecord] = ()
    plan: Callable[[Store], tuple[Change, Any]] | None = None
    touches: frozenset[str] = frozenset()
    size: int = 0


class StoreWriter:
    """The one writer of this process to the stores."""

    def __init__(self, stores: Stores, retention: Retention) -> None:
        self._source = stores
        self._stores = {DEFAULT_PROJECT: stores.writer(DEFAULT_PROJECT)}
        self._retention = retention
        self._waiting: deque[_Job] = deque()
        self._bytes = 0
        self._bell = threading.Condition()
        self._stopped = False
        self._trimmed = 0.0
        self._thread = threading.Thread(target=self._run, name="sessiontrace-writing", daemon=True)
        self._thread.start()

    async def take(self, records: Sequence[Record | DecodedRecord]) -> Mapping[int, str]:
        """Write records; the indices of those that are none, and why. Raises ``StoreError``."""
        if not records:
            return {}
        size = sum(len(record.body) for record in records)
        refused: Mapping[int, str] = await self._submit(records=records, size=size)
        return refused

    async def transact(
        self, touches: frozenset[str], plan: Callable[[Store], tuple[Change, T]]
    ) -> T:
        """Write what ``plan`` makes of the store as it is, and return what else it gave.

        ``touches`` are the ids whose state the plan reads: of two plans that share one, the later
        sees what the earlier wrote.
        """
        answer: T = await self._submit(plan=plan, touches=touches)
        return answer

    def close(self) -> None:
        """Write what waits, then let go of the stores."""
        with self._bell:
            self._stopped = True
            self._bell.notify()
        self._thread.join()
        for store in self._stores.values():
            store.close()

    async def _submit(self, **fields: Any) -> Any:
        job = _Job(ThreadsafeFuture(), PROJECT.get(), **fields)
        with self._bell:
            if self._stopped:
                raise StoreBusyError("the server is stopping")
            if self._bytes + job.size > _WAITING_BYTES and self._waiting:
                raise StoreBusyError("more is waiting to be written than memory allows; try again")
            self._waiting.append(job)
            self._bytes += job.size
            self._bell.notify()
        return await job.outcome

    # -- the writer thread ------------------------------------------------------------------

    def _run(self) -> None:
        indexed = True  # nothing is known to be left
        tidied = time.monotonic()
        while True:
            with self._bell:
                if not self._waiting and not self._stopped:
                    self._bell.wait(_IDLE_S if indexed else 0.0)
                if not self._waiting and self._stopped:
                    return
                group = self._next_group()
            if group:
                self._write(group)
                indexed = False
            if not group or time.monotonic() - tidied > _TIDY_WITHIN_S:
                indexed = self._tidy()
                tidied = time.monotonic()

    def _next_group(self) -> list[_Job]:
        group: list[_Job] = []
        touched: set[str] = set()
        count = 0
        while self._waiting and count < _GROUP_RECORDS:
            if not touched.isdisjoint(self._waiting[0].touches):
                break  # it must see what the one before it writes
            if group and self._waiting[0].project != group[0].project:
                break  # a transaction is of one store
            job = self._waiting.popleft()
            self._bytes -= job.size
            touched |= job.touches
            count += len(job.records) or 1
            group.append(job)
        return group

    def _write(self, group: list[_Job]) -> None:
        try:
            outcomes = self._commit(group)
        except Exception as error:
            if len(group) == 1:
                group[0].outcome.set_exception(error)
            elif isinstance(error, StoreError):  # the same would meet each of them
                for job in group:
                    job.outcome.set_exception(error)
            else:  # one of them holds something no rule foresaw: it alone is to fail
                for job in group:
                    self._write([job])
            return
        for job, outcome in zip(group, outcomes, strict=True):
            job.outcome.set_result(outcome)

    def _store(self, project: str) -> Store:
        store = self._stores.get(project)
        if store is None:
            store = self._stores[project] = self._source.writer(project)
        return store

    def _commit(self, group: list[_Job]) -> list[Any]:
        store = self._store(group[0].project)
        records: list[Record | DecodedRecord] = []
        notes: list[Document] = []
        forget: list[str] = []
        outcomes: list[Any] = []
        taken: list[tuple[int, int]] = []  # where each job's records are in the transaction
        for job in group:
            own: Sequence[Record | DecodedRecord] = job.records
            outcome: Any = None
            if job.plan is not None:
                change, outcome = job.plan(store)
                own = change.records
                notes.extend(change.notes)
                forget.extend(change.forget)
            outcomes.append(outcome)
            taken.append((len(records), len(records) + len(own)))
            records.extend(own)
        refused = store.write(records, notes) if records or notes else {}
        if forget:
            store.forget(forget)
        for at, (job, (start, stop)) in enumerate(zip(group, taken, strict=True)):
            if job.plan is None:
                outcomes[at] = {
                    index - start: why for index, why in refused.items() if start <= index < stop
                }
        return outcomes

    def _tidy(self) -> bool:
        """One step of what can wait; whether nothing is left of it."""
        try:
            if self._overdue():
                return False
            return not any(store.index() for store in self._stores.values())
        except Exception as error:
            # Another process writes, or the disk is full: those who write are told, we try again.
            logger().debug("tidying the store failed: %s", error)
            return True

    def _overdue(self) -> bool:
        now = time.monotonic()
        if self._trimmed and now - self._trimmed < _TRIM_EVERY_S:
            return False
        for store in self._stores.values():
            retention.agree(store, self._retention)  # programs that write by themselves keep to it
        if any(retention.trim(store, self._retention) for store in self._stores.values()):
            return True
        self._trimmed = now
        return False
