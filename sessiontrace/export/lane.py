"""The lane: one destination's way from its spools to its backend, as a task of the sender's loop.

Everything here runs in the sender's thread. Invariants: one batch is under way at a time, in the
order of the spool; whatever goes wrong, the records of a batch are settled by an outcome or stay in
the spool; and one lane never waits for another.

States of a lane
----------------
The state is what ``DeliveryStats.state`` shows.

========  ====================  ==================================================================
State     On                    Then
========  ====================  ==================================================================
idle      a batch is due        sending
sending   batch finished        sending the next batch, else idle
sending   ``Retry``             retrying: wait by the backoff, at least as long as the backend asks
sending   ``Blocked``           blocked: wait until the next probe
sending   one request, refused  blocked: its batch is held until the next probe, until records
                                follow it, or until another source's batch is accepted; where one
                                is held already, as after ``Blocked``
retrying  wait is over          retrying: one request goes ahead alone; the others follow its
blocked   wait is over          blocked: one request goes ahead alone. A batch that was refused
                                whole goes with the records that follow it, and after the batches
                                of other sources
retrying  batch finished        sending
blocked   batch finished        sending
any       ``request_stop``      the end: after the batches at hand, without waits a backend asks for
========  ====================  ==================================================================

A flush shortens the waits of idle and retrying. In blocked it gets its negative answer at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

import anyio

from sessiontrace.export.backoff import INITIAL_S, SLEEPY_AFTER_S, Backoff
from sessiontrace.export.batch_delivery import BatchDelivery, Stage
from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.export.flush import FlushTicket
from sessiontrace.export.protocol import (
    Blocked,
    Delivered,
    Outcome,
    Request,
    Retry,
    Settled,
    Transport,
    UntrustedError,
)
from sessiontrace.export.session_buffer import SessionBuffer
from sessiontrace.export.source_rotation import SourceRotation
from sessiontrace.export.stats import DeliveryCounters, LaneSpec
from sessiontrace.export.tail_sampling import TailSampler
from sessiontrace.runtime import log
from sessiontrace.runtime.event_loop import Clock
from sessiontrace.runtime.process_hooks import importing
from sessiontrace.runtime.throttle import Throttle
from sessiontrace.spool.source import Source

__all__ = ["Lane", "LaneOwner"]

_POLL_S = 0.05
_LOG_AFTER_FAILURES = 3
_SLICE = 4  # requests encoded, or begun, at a time

DeliveryStop = Retry | Blocked


class LaneOwner(Protocol):
    """The sender, as its lanes see it; ``Sender`` implements it."""

    def may_sleep(self) -> bool:
        """Whether a lane without work may stop polling: the next record will wake it."""
        ...

    def release_finished(self) -> None:
        """Give back the recovered spools that owe nothing more; a lane has finished one."""
        ...


class Lane:
    """One destination. ``run`` until ``request_stop``; everything else may be called in between."""

    def __init__(
        self,
        spec: LaneSpec,
        counters: DeliveryCounters,
        *,
        owner: LaneOwner,
        clock: Clock,
        backoff: Backoff,
        dead_letters: DeadLetters | None,
    ) -> None:
        self.name: str = spec.name
        self.counters = counters
        self._spec = spec
        self._exporter = spec.exporter
        self._owner = owner
        self._clock = clock
        self._backoff = backoff
        self._dead_letters = dead_letters
        own: Source = spec.reader
        if spec.sample is not None and spec.sample.decides_at_end:
            own = TailSampler(own, spec.sample, counters.count_sampled, now=clock.now)
        self._sources = SourceRotation(
            self._wrap_source(own), spec.exporter, clock.now, spec.pricing
        )
        self._delivery: BatchDelivery | None = None
        self._tickets: list[FlushTicket] = []
        self._stopping = False
        self._probing = False  # after a setback, until one request went through
        self._bell = asyncio.Event()
        self._transport: Transport | None = None
        self._throttle = Throttle()  # where an `await` would be one more place to be cancelled at

    # -- called from the sender, in its loop ------------------------------------------------

    def open(self) -> None:
        """Get ready in a new loop."""
        self._bell = asyncio.Event()
        self._transport = None

    async def close(self) -> None:
        """Close the transport."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    def wake(self) -> None:
        """Look for new records at once."""
        self._bell.set()

    def add(self, source: Source) -> None:
        """Deliver what a recovered spool still owes, in turn with the other sources."""
        self._sources.add(self._wrap_source(source))
        self._bell.set()

    def flush(self, ticket: FlushTicket) -> None:
        """Send without waiting for a batch to fill, and answer the ticket."""
        self._tickets.append(ticket)
        self._bell.set()

    def request_stop(self) -> None:
        """Send what can be sent without another try, then return from ``run``."""
        self._stopping = True
        self._bell.set()

    @property
    def own(self) -> Source:
        """This process's spool, as this lane reads it."""
        return self._sources.own

    @property
    def adopted(self) -> Sequence[Source]:
        """The sources of recovered spools still under way."""
        return self._sources.adopted

    @property
    def quiet_since(self) -> float:
        """When the last record was read."""
        return self._sources.quiet_since

    def _wrap_source(self, source: Source) -> Source:
        return SessionBuffer(source, now=self._clock.now) if self._spec.hold else source

    # -- the task ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until asked to stop and nothing more can be done."""
        running = True
        while running:
            self._bell.clear()
            last, tickets = self._stopping, list(self._tickets)
            delivery = self._delivery = self._delivery or await self._sources.next_delivery(
                last or bool(tickets), self._owner.release_finished
            )
            if delivery is None:
                self._answer(tickets, not self._sources.holding)
                running = not last
                await self._wait_for_work()
                continue
            if self.counters.state == "idle":
                self.counters.state = "sending"
            stop = await self._deliver(delivery)
            if not delivery.untouched:
                self._sources.vouch()
            if stop is None:
                self._delivery = None
                self._note_success()
            else:
                running = await self._set_back(delivery, stop) and not last
        self._answer(list(self._tickets), self._delivery is None and not self._sources.holding)

    async def _wait_for_work(self) -> None:
        """Nothing to send: wait for the next poll, for a batch to come of age, or for ``wake``."""
        if not self._sources.holding:
            self.counters.state = "idle"
        if self._stopping:
            return
        quiet = self._clock.now() - self.quiet_since > SLEEPY_AFTER_S
        due = self._sources.seconds_until_due()
        wait: float | None = _POLL_S if due is None else min(_POLL_S, due)
        if quiet and (due is None or self._sources.holding) and self._owner.may_sleep():
            # Step (d) of ``runtime.wake``: look once more now that the signal is armed.
            wait = self._sources.last_look()
        await self._clock.wait(self._bell, wait)

    async def _set_back(self, delivery: BatchDelivery, stop: DeliveryStop) -> bool:
        """Wait before the next try, or hold the batch meanwhile; False when the lane stops."""
        seconds = self._note_stop(stop)
        if delivery.refusals == 1 and delivery.untouched and not self._sources.holding:
            self._delivery = None
            self._sources.hold(delivery, self._clock.now() + seconds)
            return True
        running = await self._wait_before_retry(stop, seconds)
        if delivery.refusals and delivery.untouched and self._sources.join(delivery):
            self._delivery = None
        return running

    async def _wait_before_retry(self, stop: DeliveryStop, seconds: float) -> bool:
        """Wait before the next try; False when the lane stops instead.

        A flush or the stop shortens a wait that is only the lane's own caution, and no other.
        """
        begun = self._clock.now()
        least = seconds if isinstance(stop, Blocked) else stop.after or 0.0
        while not self._stopping:
            if isinstance(stop, Blocked):
                self._answer(list(self._tickets), False)
            wait = min(seconds, max(least, INITIAL_S)) if self._tickets else seconds
            left = begun + wait - self._clock.now()
            if left <= 0:
                return True
            self._bell.clear()
            await self._clock.wait(self._bell, left)
        return not least

    # -- delivery ---------------------------------------------------------------------------

    async def _deliver(self, delivery: BatchDelivery) -> DeliveryStop | None:
        """Send a batch, stage by stage; what stopped it, or None when it is finished."""
        for step, _ in enumerate(delivery.prepare()):
            if step % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        self._throttle()
        self._acknowledge(delivery)
        stop: DeliveryStop | None = None
        while stop is None and not delivery.finished:
            if delivery.stage.pending:
                stop = await self._send_stage(delivery, delivery.stage)
            else:
                stop = delivery.advance()
            self._acknowledge(delivery)
        if stop is not None and delivery.progressed:
            self._backoff.ease()
        return stop

    async def _send_stage(self, delivery: BatchDelivery, stage: Stage) -> DeliveryStop | None:
        """Send the pending requests, several at a time; after a failure one goes ahead alone."""
        if self._probing:
            stop = await self._send(delivery, stage)
            if stop is not None:
                return stop
            self._probing = False
        stops: list[DeliveryStop] = []

        async def work(alone: bool) -> None:
            while stage.pending and not stops and (alone or not stage.bisecting):
                stop = await self._send(delivery, stage)
                if stop is not None:
                    stops.append(stop)

        workers = min(len(stage.pending), self._exporter.limits.concurrency)
        if workers == 1:
            await work(True)
        elif workers:
            async with anyio.create_task_group() as group:
                for number in range(workers):
                    group.start_soon(work, number == 0)
                    if number % _SLICE == _SLICE - 1:
                        await asyncio.sleep(0)
        return max(stops, key=_severity, default=None)

    async def _send(self, delivery: BatchDelivery, stage: Stage) -> DeliveryStop | None:
        """Send the next pending request, and apply its outcome to the delivery."""
        request = stage.pending.popleft()
        try:
            outcome = await self._attempt(delivery, request)
        except BaseException:  # cancelled: it is unknown whether the request arrived
            stage.pending.appendleft(request)
            raise
        self._throttle()
        stop = delivery.apply(request, outcome)
        if stop is not None:
            self.counters.retries += 1
        elif isinstance(outcome, Delivered):
            self.counters.bytes += request.content.size
        elif isinstance(outcome, Settled) and outcome.omitted:
            self.counters.omitted += outcome.omitted
            log.log_once(f"{self.name}:omitted", "%s: %s", self.name, outcome.reason)
        return stop

    async def _attempt(self, delivery: BatchDelivery, request: Request) -> Outcome:
        self.counters.requests += 1
        try:
            if self._transport is None:
                with importing():  # aiohttp, or what else this one needs
                    self._transport = self._spec.transport()
            reply = await self._transport.send(request, delivery.records_of(request))
            return self._exporter.interpret(request, reply)
        except UntrustedError as error:
            return Blocked(str(error))
        except OSError as error:
            return Retry(str(error) or type(error).__name__)
        except Exception as error:  # a fault in a transport or exporter: its text may hold anything
            return Retry(type(error).__name__)

    def _acknowledge(self, delivery: BatchDelivery) -> None:
        """Move the cursor over what is settled, after the dead letters and counters have it."""
        if (size := delivery.smallest_refused) is not None:
            self._sources.limit(size)
        settled = delivery.acknowledge()
        if settled is None:
            return
        for record, reason in settled.rejected:
            if self._dead_letters is not None:
                self._dead_letters.put(self.name, record, reason)
            log.log_once(f"{self.name}:rejected", "%s refuses a record: %s", self.name, reason)
        self.counters.count(delivery.source, settled.acked, len(settled.rejected))
        delivery.source.acknowledge(settled.position)
        self._answer_settled()

    # -- health -----------------------------------------------------------------------------

    def _note_success(self) -> None:
        """A batch went through."""
        if self._backoff.probes or self._backoff.failures >= _LOG_AFTER_FAILURES:
            text = "%s accepts records again"
            log.log_once(f"{self.name}:recovered", text, self.name, level=logging.INFO)
        self._backoff.reset()
        self._probing = False
        self.counters.state, self.counters.last_error = "sending", ""

    def _note_stop(self, stop: DeliveryStop) -> float:
        """Note why the batch stopped; seconds until the next try."""
        self._probing = True
        self.counters.last_error = stop.reason
        if isinstance(stop, Blocked):
            if self.counters.state != "blocked":
                text = "%s is blocked: %s; its records are kept, and sent once it accepts them"
                log.log_once(f"{self.name}:blocked", text, self.name, stop.reason)
            self.counters.state = "blocked"
            return self._backoff.probe()
        self.counters.state = "retrying"
        wait = self._backoff.retry(stop.after)
        if self._backoff.failures == _LOG_AFTER_FAILURES:
            text = "%s is not responding correctly: %s; its records are kept and sent again"
            log.log_once(f"{self.name}:retrying", text, self.name, stop.reason)
        return wait

    def _answer(self, tickets: Sequence[FlushTicket], complete: bool) -> None:
        """Answer these tickets and forget them."""
        for ticket in tickets:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
                ticket.answer(self.name, complete)

    def _answer_settled(self) -> None:
        """Answer the tickets whose mark the counters have reached."""
        if self._tickets:
            settled = self.counters.settled(self._spec.reader)
            reached = [ticket for ticket in self._tickets if ticket.marks[self.name] <= settled]
            self._answer(reached, True)


def _severity(stop: DeliveryStop) -> tuple[bool, float]:
    """Blocked outweighs Retry, and the longer wait the shorter."""
    if isinstance(stop, Blocked):
        return True, 0.0
    return False, stop.after or 0.0
