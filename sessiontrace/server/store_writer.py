"""Writing to the store beside the loop: one thread, and many requests in one transaction.

Routes await ``write``, ``transact`` and ``take`` on the server's loop; everything else runs on the
writer thread. Jobs that wait when a transaction ends go into the next one together (a group
commit), so that a hundred small requests cost one sync of the disk. When no job comes, and once
every half second under constant load, the thread maintains the store: it indexes new texts for
search and deletes sessions beyond the retention. Invariant: a route's await ends only when its
records are on the disk, and the bytes that wait are bounded.

``take`` also reads a request on this thread. SQLite gives up Python's lock at every row, so a loop
that reads at the same time makes each row wait for the lock, and both threads together are slower
than this one alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import orjson

from sessiontrace.capture.encoding.media_buffer import BUFFER
from sessiontrace.model.errors import StoreBusyError, StoreError
from sessiontrace.model.record import EVENT, Record
from sessiontrace.pricing.pricer import Pricer
from sessiontrace.pricing.prices import Prices
from sessiontrace.runtime.log import logger
from sessiontrace.runtime.threadsafe_future import ThreadsafeFuture
from sessiontrace.server.media_intake import ServerMedia
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.store_changes import Change, Move, Reading
from sessiontrace.store import retention
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.media.limits import DEFAULT_LIMITS, MediaLimits
from sessiontrace.store.models import DEFAULT_PROJECT, Document
from sessiontrace.store.protocol import Store, Stores
from sessiontrace.store.retention import Retention, RetentionChange

__all__ = ["Retention", "RetentionChange", "StoreWriter"]

T = TypeVar("T")

_GROUP_RECORDS = 20_000
_WAITING_BYTES = 64 << 20
_SETTLE_MOST = 20
_IDLE_S = 0.25
_PAUSE_S = 0.005  # a client that sends on is served before the index
_SPARE = 0.25  # of the time: a thread that waits longer need not spare any for such a client
_MAINTAIN_WITHIN_S = 0.5
_TRIM_EVERY_S = 60.0


@attrs.define(eq=False)
class _Job:
    """One request's share of a transaction; ``plan`` reads the store before anything is written.

    ``read``: gives the job its plan. ``settle``: gives it the next plan, once it has an ``answer``.
    ``alone``: work with transactions of its own, beside which nothing is written.
    """

    outcome: ThreadsafeFuture[Any]
    project: str
    records: Sequence[Record | DecodedRecord] = ()
    read: Callable[[], Reading[Any]] | None = None
    plan: Callable[[Store], tuple[Change, Any]] | None = None
    settle: Callable[[Store], tuple[Change, bool]] | None = None
    alone: Callable[[Store], Any] | None = None
    touches: frozenset[str] = frozenset()
    size: int = 0
    count: int = 1
    answer: Any = None
    settled: int = 0

    def prepare(self) -> None:
        """Read the request, where that is left to do."""
        if self.read is not None:
            reading, self.read = self.read(), None
            self.plan, self.settle = reading.plan, reading.settle
            self.touches, self.count = reading.touches, reading.count

    def committed(self, outcome: Any) -> bool:
        """Answer, unless the job settles first; returns whether it does.

        ``outcome``: of the plan that is on the disk now.
        """
        if self.settle is None:
            self.answer = outcome
        elif not self.settled:
            self.answer, self.settled = outcome, 1
            return True
        elif outcome and self.settled < _SETTLE_MOST:
            self.settled += 1
            return True
        self.outcome.set_result(self.answer)
        return False


class StoreWriter:
    """The one writer of this process to the stores; ``media``: None stores no media.

    ``retention``: the rule to begin with, or changes of the stored one; the page may change it.
    """

    def __init__(
        self,
        stores: Stores,
        retention: Retention | RetentionChange | None,
        prices: Prices,
        media: MediaLimits | None = DEFAULT_LIMITS,
    ) -> None:
        self._source = stores
        self._media_limits = media
        self._media: dict[str, ServerMedia] = {}
        BUFFER.open(0 if media is None else media.item_bytes)
        self._pricer = Pricer(prices)
        self._stores = {DEFAULT_PROJECT: stores.writer(DEFAULT_PROJECT)}
        self._retention = retention
        self._agreed: set[str] = set()
        self._queue: deque[_Job] = deque()
        self._queued_bytes = 0
        self._queue_changed = threading.Condition()
        self._stopped = False
        self._trimmed_at = 0.0
        self._thread = threading.Thread(target=self._run, name="sessiontrace-writing", daemon=True)
        self._thread.start()

    async def write(self, records: Sequence[Record | DecodedRecord]) -> Mapping[int, str]:
        """Write records; returns the reason for each rejected record, by its index.

        Raises ``StoreError``.
        """
        if not records:
            return {}
        size = sum(len(record.body) for record in records)
        rejected: Mapping[int, str] = await self._submit(
            records=records, size=size, count=len(records)
        )
        return rejected

    async def transact(
        self,
        touches: frozenset[str],
        plan: Callable[[Store], tuple[Change, T]],
        *,
        size: int = 0,
        count: int = 1,
    ) -> T:
        """Run ``plan`` on the writer thread, write its change and return its second result.

        ``touches``: the ids whose state the plan reads. Of two plans that share an id, the later
        one sees the writes of the earlier one. ``size`` and ``count``: bytes and number of the
        records that the plan has with it.
        """
        answer: T = await self._submit(plan=plan, touches=touches, size=size, count=count)
        return answer

    async def take(self, read: Callable[[], Reading[T]], size: int) -> T:
        """Read a request on the writer thread, write what it brings and settle it.

        ``size``: bytes of the request. Raises what ``read`` raises, and ``StoreError``. Returns the
        second result of the plan.
        """
        answer: T = await self._submit(read=read, size=size)
        return answer

    async def run(self, work: Callable[[Store], T]) -> T:
        """Run ``work`` on the writer thread, after what waits there; it writes by itself."""
        answer: T = await self._submit(alone=work)
        return answer

    def close(self) -> None:
        """Write the jobs that wait, then close the stores."""
        with self._queue_changed:
            self._stopped = True
            self._queue_changed.notify()
        self._thread.join()
        BUFFER.close(0 if self._media_limits is None else self._media_limits.item_bytes)
        for store in self._stores.values():
            store.close()

    async def _submit(self, **fields: Any) -> Any:
        outcome: ThreadsafeFuture[Any] = ThreadsafeFuture()
        self._enqueue(_Job(outcome, PROJECT.get(), **fields))
        # The writer thread frees the job: thousands of objects would take the loop milliseconds.
        fields.clear()
        return await outcome

    def _enqueue(self, job: _Job) -> None:
        with self._queue_changed:
            if self._stopped:
                raise StoreBusyError("the server is stopping")
            if self._queued_bytes + job.size > _WAITING_BYTES and self._queue:
                raise StoreBusyError("too many requests are waiting to be written; try again")
            self._queue.append(job)
            self._queued_bytes += job.size
            self._queue_changed.notify()

    # -- the writer thread ------------------------------------------------------------------

    def _run(self) -> None:
        indexed = True  # no text is known to be missing from the search index
        maintained, waited = time.monotonic(), 0.0  # the time waited is that since then
        while True:
            now = time.monotonic()
            pause = 0.0 if waited > _SPARE * (now - maintained) else _PAUSE_S
            with self._queue_changed:
                if not self._queue and not self._stopped:
                    self._queue_changed.wait(_IDLE_S if indexed else pause)
                if not self._queue and self._stopped:
                    return
            waited += time.monotonic() - now
            is_busy = self._write_next()
            indexed = indexed and not is_busy
            if not is_busy or time.monotonic() - maintained > _MAINTAIN_WITHIN_S:
                indexed = self._maintain()
                maintained, waited = time.monotonic(), 0.0

    def _write_next(self) -> bool:
        """Write the jobs that wait, as far as they fit together; returns whether there were any."""
        group = self._next_group()
        if group:
            self._write(group)
        return bool(group)

    def _next_group(self) -> list[_Job]:
        group: list[_Job] = []
        touched: set[str] = set()
        count = 0
        while self._queue and count < _GROUP_RECORDS:
            try:
                self._queue[0].prepare()
            except Exception as error:
                self._next_job().outcome.set_exception(error)
                continue
            if not touched.isdisjoint(self._queue[0].touches):
                break  # its plan must see the writes of the job before it
            if group and self._queue[0].project != group[0].project:
                break  # a transaction belongs to one store
            if group and (group[0].alone or self._queue[0].alone):
                break
            job = self._next_job()
            touched |= job.touches
            count += job.count
            group.append(job)
        return group

    def _next_job(self) -> _Job:
        with self._queue_changed:
            job = self._queue.popleft()
            self._queued_bytes -= job.size
        return job

    def _write(self, group: list[_Job]) -> None:
        """Do all transactions of these jobs."""
        while group:
            unsettled = self._write_once(group)
            group = [job for job in unsettled if self._changes(job)]

    def _changes(self, job: _Job) -> bool:
        """Whether a job that settles changes something; the others are answered at once."""
        assert job.settle is not None
        try:
            change, again = job.settle(self._store(job.project))
        except Exception as error:
            job.outcome.set_exception(error)
            return False
        if again or not change.is_empty:
            job.plan = lambda store: (change, again)
            return True
        job.committed(again)
        return False

    def _write_once(self, group: list[_Job]) -> list[_Job]:
        """Do one transaction of each job; returns the jobs that have another one to do."""
        try:
            outcomes = self._commit(group)
        except Exception as error:
            if len(group) == 1:
                group[0].outcome.set_exception(error)
            elif isinstance(error, StoreError):  # each job alone would meet the same error
                for job in group:
                    job.outcome.set_exception(error)
            else:  # retry one by one, so that only the offending request fails
                for job in group:
                    self._write([job])
            return []
        return [job for job, outcome in zip(group, outcomes, strict=True) if job.committed(outcome)]

    def _store(self, project: str) -> Store:
        store = self._stores.get(project)
        if store is None:
            store = self._stores[project] = self._source.writer(project)
        return store

    def _media_of(self, project: str) -> ServerMedia:
        media = self._media.get(project)
        if media is None:
            media = self._media[project] = ServerMedia(self._media_limits)
        return media

    def _commit(self, group: list[_Job]) -> list[Any]:
        store = self._store(group[0].project)
        media = self._media_of(group[0].project)
        if group[0].alone:
            self._begin(group[0].project, store)
            return [group[0].alone(store)]
        records: list[Record | DecodedRecord] = []
        documents: list[Document] = []
        forget: list[str] = []
        moves: list[Move] = []
        outcomes: list[Any] = []
        ranges: list[tuple[int, int]] = []  # of each job's records in the transaction
        for job in group:
            job_records: Sequence[Record | DecodedRecord] = job.records
            outcome: Any = None
            if job.plan is not None:
                change, outcome = job.plan(store)
                job_records = change.records
                documents.extend(change.documents)
                forget.extend(change.forget)
                moves.extend(change.moves)
            job_records = media.store_media(store, self._priced(job_records))
            outcomes.append(outcome)
            ranges.append((len(records), len(records) + len(job_records)))
            records.extend(job_records)
        documents.extend(media.loss_report())
        rejected = store.write(records, documents) if records or documents else {}
        if forget:
            store.forget(forget)
        for move in moves:
            store.move(move.source, move.target, move.event_ids)
        for at, (job, (start, stop)) in enumerate(zip(group, ranges, strict=True)):
            if job.plan is None:
                outcomes[at] = {
                    index - start: why for index, why in rejected.items() if start <= index < stop
                }
        return outcomes

    def _priced(
        self, records: Sequence[Record | DecodedRecord]
    ) -> Sequence[Record | DecodedRecord]:
        """The records with the cost of their calls, where their client reported none."""
        pricer = self._pricer
        priced: list[Record | DecodedRecord] = []
        for record in records:
            if isinstance(record, Record):
                record = pricer.record(record)
            elif record.kind == EVENT and (metadata := pricer.metadata(record.event)) is not None:
                event = {**record.whole().event, "metadata": metadata}
                record = DecodedRecord(record.kind, event, orjson.dumps(event).decode())
            priced.append(record)
        return priced

    def _maintain(self) -> bool:
        """One step of maintenance; returns whether the search index is complete."""
        try:
            if self._trim():
                return False
            return not any(store.index() for store in self._stores.values())
        except Exception as error:
            # Another process writes, or the disk is full: writing reports it, maintenance retries.
            logger().debug("maintenance of the store failed: %s", error)
            return True

    def _begin(self, project: str, store: Store) -> None:
        """Store the rule to begin with, once; programs that write directly follow it too."""
        if project in self._agreed:
            return
        rule = self._retention
        if isinstance(rule, RetentionChange):
            rule = rule.of(retention.agreed(store) or Retention())
        if rule is not None:
            retention.agree(store, rule)
        self._agreed.add(project)

    def _trim(self) -> bool:
        """Delete some sessions beyond the retention; returns whether more may be left."""
        now = time.monotonic()
        if self._trimmed_at and now - self._trimmed_at < _TRIM_EVERY_S:
            return False
        for project, store in self._stores.items():
            self._begin(project, store)
        rules = [(store, retention.agreed(store)) for store in self._stores.values()]
        if any(rule is not None and retention.trim(store, rule) for store, rule in rules):
            return True
        self._trimmed_at = now
        return False
