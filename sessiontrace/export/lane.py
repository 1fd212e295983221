"""The lane: one destination's way from its spools to its backend, as a task of the sender's loop.

Everything here runs in the sender's thread. Invariants: one batch is under way at a time, in the
order of the spool; whatever goes wrong, its records are settled by a verdict or stay where they
are; and one lane never waits for another.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

import anyio

from sessiontrace.export.backoff import INITIAL_S, SLEEPY_AFTER_S, Backoff
from sessiontrace.export.batch_delivery import BatchDelivery
from sessiontrace.export.batcher import Batcher
from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.export.flush import FlushTicket
from sessiontrace.export.protocol import (
    Blocked,
    Delivered,
    Outcome,
    Request,
    Retry,
    Transport,
    UntrustedError,
)
from sessiontrace.export.reordering import OutOfOrderSource
from sessiontrace.export.session_buffer import SessionBuffer
from sessiontrace.export.stats import DeliveryCounters, LaneSpec
from sessiontrace.export.tail_sampling import TailSampler
from sessiontrace.runtime import log
from sessiontrace.runtime.event_loop import Clock
from sessiontrace.runtime.process_hooks import importing
from sessiontrace.runtime.throttle import Throttle
from sessiontrace.spool.source import Source

__all__ = ["Lane"]

_POLL_S = 0.05
_TELL_AFTER_FAILURES = 3
_SMALLEST_BATCH = 64 << 10
_SLICE = 4  # requests encoded, or begun, at a time

DeliveryStop = Retry | Blocked


class Lane:
    """One destination. ``run`` until ``request_stop``; everything else may be called in between.

    ``may_sleep`` is asked when there has been nothing to do for a while, and tells whether the
    lane may wait for the bell alone. ``on_finished`` hears that an adopted source is through.
    """

    def __init__(
        self,
        spec: LaneSpec,
        ledger: DeliveryCounters,
        *,
        clock: Clock,
        backoff: Backoff,
        dead: DeadLetters | None,
        may_sleep: Callable[[], bool],
        on_finished: Callable[[], None],
    ) -> None:
        self.name = spec.name
        self.ledger = ledger
        self.quiet_since = clock.now()
        self._spec = spec
        self._exporter = spec.exporter
        self._clock = clock
        self._backoff = backoff
        self._dead = dead
        self._may_sleep = may_sleep
        self._on_finished = on_finished
        limits = spec.exporter.limits
        own: Source = spec.reader
        if spec.sample is not None and spec.sample.decides_at_end:
            own = TailSampler(own, spec.sample, ledger.count_sampled, now=clock.now)
        self._own = Batcher(self._wrap_source(own), limits, limits.max_bytes)
        self._feeds: deque[Batcher] = deque([self._own])
        self._parcel: BatchDelivery | None = None
        self._tickets: list[FlushTicket] = []
        self._finishing = False
        self._scouting = False
        self._bell = asyncio.Event()
        self._transport: Transport | None = None
        self._pace = Throttle()  # where an `await` would be one more place to be cancelled at

    # -- called from the sender, in its loop ------------------------------------------------

    def open(self) -> None:
        """Get ready in a new loop."""
        self._bell = asyncio.Event()
        self._transport = None

    async def close(self) -> None:
        """Close what the transport holds."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    def wake(self) -> None:
        """Look for new records at once."""
        self._bell.set()

    def add(self, source: Source) -> None:
        """Deliver what an adopted spool still owes, in turn with the others."""
        limits = self._exporter.limits
        self._feeds.append(Batcher(self._wrap_source(source), limits, self._own.max_bytes))
        self._bell.set()

    def flush(self, ticket: FlushTicket) -> None:
        """Send without waiting for a batch to fill, and answer the ticket."""
        self._tickets.append(ticket)
        self._bell.set()

    def request_stop(self) -> None:
        """Send what can be sent without another try, then return from ``run``."""
        self._finishing = True
        self._bell.set()

    @property
    def own(self) -> Source:
        """The spool of this process, as this lane gets it."""
        return self._own.source

    @property
    def adopted(self) -> Sequence[Source]:
        """The adopted sources still under way."""
        return [feed.source for feed in self._feeds if feed is not self._own]

    def _wrap_source(self, source: Source) -> Source:
        return SessionBuffer(source, now=self._clock.now) if self._spec.hold else source

    # -- the task ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until told to finish and nothing more can be done."""
        going = True
        while going:
            self._bell.clear()
            last, asked = self._finishing, list(self._tickets)
            parcel = self._parcel = self._parcel or await self._next(last or bool(asked))
            if parcel is None:
                self._answer(asked, True)
                going = not last
                await self._wait_for_work()
                continue
            self.ledger.state = "sending" if self.ledger.state == "idle" else self.ledger.state
            setback = await self._deliver(parcel)
            if setback is None:
                self._parcel = None
                self._recover()
            else:
                going = await self._wait_before_retry(setback, self._fail(setback)) and not last
        self._answer(list(self._tickets), self._parcel is None)

    async def _next(self, hurry: bool) -> BatchDelivery | None:
        """The next batch that is worth sending, from whichever source has its turn."""
        if hurry:
            for feed in self._feeds:
                if isinstance(feed.source, OutOfOrderSource):
                    feed.source.release_all()
        for _ in range(len(self._feeds)):
            feed = self._feeds[0]
            self._feeds.rotate(-1)
            while feed.read(self._clock.now()):
                self.quiet_since = self._clock.now()
                await asyncio.sleep(0)
            now = self._clock.now()
            if feed.records and (hurry or not feed.due(now)):
                return BatchDelivery(self._exporter, feed.source, *feed.cut(now))
            if feed is not self._own and not feed.records and feed.source.finished():
                self._feeds.remove(feed)
                self._on_finished()
        return None

    async def _wait_for_work(self) -> None:
        """Nothing to send: wait for the next poll, for a batch to come of age, or for the bell."""
        self.ledger.state = "idle"
        if self._finishing:
            return
        now = self._clock.now()
        wait: float | None = _POLL_S
        if self._own.records:
            wait = min(_POLL_S, self._own.due(now))
        elif now - self.quiet_since > SLEEPY_AFTER_S and self._may_sleep():
            # Step (d) of ``runtime.wake``: look once more now that the signal is armed.
            source = self._own.source
            held = source.due() if isinstance(source, OutOfOrderSource) else None
            wait = 0.0 if self._own.read(now) else held
        await self._clock.wait(self._bell, wait)

    async def _wait_before_retry(self, setback: DeliveryStop, seconds: float) -> bool:
        """Wait before the next try; False when there shall be none.

        A flush or the finish shortens a wait that is only our own caution, and no other.
        """
        begun = self._clock.now()
        least = seconds if isinstance(setback, Blocked) else setback.after or 0.0
        while not self._finishing:
            if isinstance(setback, Blocked):
                self._answer(list(self._tickets), False)
            wait = min(seconds, max(least, INITIAL_S)) if self._tickets else seconds
            left = begun + wait - self._clock.now()
            if left <= 0:
                return True
            self._bell.clear()
            await self._clock.wait(self._bell, left)
        return not least

    # -- delivery ---------------------------------------------------------------------------

    async def _deliver(self, parcel: BatchDelivery) -> DeliveryStop | None:
        """Everything the parcel owes, stage by stage; what stopped it, or None when it is done."""
        if not parcel.planned:
            for step, _ in enumerate(parcel.plan()):
                if step % _SLICE == _SLICE - 1:
                    await asyncio.sleep(0)
            self._pace()
        parcel.resume()
        setback: DeliveryStop | None = None
        while setback is None:
            self._settle(parcel)
            if parcel.finished:
                return None
            setback = await self._send_owed(parcel) if parcel.pending_requests else parcel.advance()
        if parcel.progressed:
            self._backoff.ease()
        self._settle(parcel)
        return setback

    async def _send_owed(self, parcel: BatchDelivery) -> DeliveryStop | None:
        """Send what is owed, several at a time; after a failure one goes ahead alone."""
        if self._scouting:
            setback = await self._send(parcel, parcel.pending_requests.popleft())
            if setback is not None:
                return setback
            self._scouting = False
        setbacks: list[DeliveryStop] = []

        async def work(alone: bool) -> None:
            while parcel.pending_requests and not setbacks and (alone or not parcel.bisecting):
                setback = await self._send(parcel, parcel.pending_requests.popleft())
                if setback is not None:
                    setbacks.append(setback)

        workers = min(len(parcel.pending_requests), self._exporter.limits.concurrency)
        if workers == 1:
            await work(True)
        elif workers:
            async with anyio.create_task_group() as group:
                for number in range(workers):
                    group.start_soon(work, number == 0)
                    if number % _SLICE == _SLICE - 1:
                        await asyncio.sleep(0)
        return max(setbacks, key=_severity, default=None)

    async def _send(self, parcel: BatchDelivery, request: Request) -> DeliveryStop | None:
        """One request and what its verdict means for the parcel."""
        try:
            verdict = await self._attempt(parcel, request)
        except BaseException:  # cancelled: nobody knows whether it arrived
            parcel.pending_requests.appendleft(request)
            raise
        self._pace()
        setback = parcel.apply(request, verdict)
        if setback is not None:
            self.ledger.retries += 1
        elif isinstance(verdict, Delivered):
            self.ledger.bytes += request.content.size
        return setback

    async def _attempt(self, parcel: BatchDelivery, request: Request) -> Outcome:
        self.ledger.requests += 1
        try:
            if self._transport is None:
                with importing():  # aiohttp, or what else this one needs
                    self._transport = self._spec.transport()
            reply = await self._transport.send(request, parcel.records_of(request))
            return self._exporter.interpret(request, reply)
        except UntrustedError as error:
            return Blocked(str(error))
        except OSError as error:
            return Retry(str(error) or type(error).__name__)
        except Exception as error:  # a transport or judge at fault: its text may hold anything
            return Retry(type(error).__name__)

    def _settle(self, parcel: BatchDelivery) -> None:
        """Move the cursor over what is settled, after the books and the dead letters know."""
        settled = parcel.acknowledge()
        if parcel.too_large is not None:
            for feed in self._feeds:
                feed.max_bytes = max(_SMALLEST_BATCH, min(feed.max_bytes, parcel.too_large // 2))
            parcel.too_large = None
        if settled is None:
            return
        for record, reason in settled.rejected:
            if self._dead is not None:
                self._dead.put(self.name, record, reason)
            log.log_once(f"{self.name}:rejected", "%s refuses a record: %s", self.name, reason)
        self.ledger.count(parcel.source, settled.acked, len(settled.rejected))
        parcel.source.acknowledge(settled.position)
        self._answer_settled()

    # -- health -----------------------------------------------------------------------------

    def _recover(self) -> None:
        """A batch went through."""
        told = self._backoff.probes or self._backoff.failures >= _TELL_AFTER_FAILURES
        if told:
            text = "%s takes records again"
            log.log_once(f"{self.name}:recovered", text, self.name, level=logging.INFO)
        self._backoff.reset()
        self._scouting = False
        self.ledger.state, self.ledger.last_error = "sending", ""

    def _fail(self, setback: DeliveryStop) -> float:
        """Write down why it stopped; seconds until the next try."""
        self._scouting = True
        self.ledger.last_error = setback.reason
        kept = "its records are kept"
        if isinstance(setback, Blocked):
            if self.ledger.state != "blocked":
                text = "%s is blocked: %s; %s and tried again from time to time"
                log.log_once(f"{self.name}:blocked", text, self.name, setback.reason, kept)
            self.ledger.state = "blocked"
            return self._backoff.probe()
        self.ledger.state = "retrying"
        wait = self._backoff.retry(setback.after)
        if self._backoff.failures == _TELL_AFTER_FAILURES:
            text = "%s does not answer as it should: %s; %s and tried again"
            log.log_once(f"{self.name}:retrying", text, self.name, setback.reason, kept)
        return wait

    def _answer(self, tickets: Sequence[FlushTicket], complete: bool) -> None:
        """Answer these tickets and forget them."""
        for ticket in tickets:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
                ticket.answer(self.name, complete)

    def _answer_settled(self) -> None:
        """Answer the tickets whose mark the books have reached."""
        if self._tickets:
            settled = self.ledger.settled(self._spec.reader)
            self._answer([one for one in self._tickets if one.marks[self.name] <= settled], True)


def _severity(setback: DeliveryStop) -> tuple[bool, float]:
    """Blocked outweighs Retry, and the longer wait the shorter."""
    if isinstance(setback, Blocked):
        return True, 0.0
    return False, setback.after or 0.0
