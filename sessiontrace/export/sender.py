"""The sender: a daemon thread whose event loop runs one lane for each destination.

The first record starts it, from the thread that record comes from. Any thread may call its methods;
they never wait, except ``stop``, which is bounded. Invariant: whatever escapes from a lane or from
the loop itself, delivery starts again with the same state, and the restart is counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from sessiontrace.export.backoff import SLEEPY_AFTER_S, Backoff
from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.export.flush import FlushTicket
from sessiontrace.export.stats import DeliveryCounters, DeliveryStats, LaneSpec
from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.process_hooks import importing
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signal_safe_event import SignalSafeEvent
from sessiontrace.runtime.signals import raise_if_from_signal
from sessiontrace.runtime.thread_start import start_thread
from sessiontrace.runtime.wake import WakeSignal
from sessiontrace.runtime.worker import BackgroundWorker
from sessiontrace.spool.recovery.recovered_spool import RecoveredSpool
from sessiontrace.spool.source import Source

if TYPE_CHECKING:  # all that only the thread itself needs: `import sessiontrace` stays light
    import asyncio

    import anyio

    from sessiontrace.export.lane import Lane
    from sessiontrace.runtime.event_loop import Clock

__all__ = ["LaneSpec", "Sender"]

_JOIN_GRACE_S = 0.25
_RESTART_S = 0.1
_RESTART_CAP_S = 30.0
_CLOSE_S = 0.2

_left_to_parent: list[object] = []  # in a forked child: senders to neither close nor collect


@attrs.define(eq=False)
class _Route:
    """One destination as other threads see it; its lane exists once the thread runs."""

    spec: LaneSpec
    counters: DeliveryCounters
    lane: Lane | None = None

    @property
    def own(self) -> Source:
        return self.lane.own if self.lane else self.spec.reader

    def report(self, incoming: Sequence[RecoveredSpool]) -> DeliveryStats:
        """The delivery counts, with the recovered spools that the lane does not know yet."""
        name = self.spec.name
        readers = [spool.readers[name] for spool in incoming if name in spool.readers]
        adopted = [*readers, *(self.lane.adopted if self.lane else ())]
        return self.counters.snapshot(self.own, adopted)


class Sender:
    """Delivers what the lanes' readers hand out, until stopped; a stopped sender stays stopped.

    ``signal`` is armed in the sender's thread after about 2 s without records, so that the spool
    calls ``wake`` at the next one. ``worker`` releases a recovered spool once every reader of it
    is finished. ``clock`` and ``uniform`` (the jitter) are for tests.
    """

    def __init__(
        self,
        *,
        lanes: Sequence[LaneSpec],
        counters: Counters,
        dead_letters: DeadLetters | None = None,
        signal: WakeSignal | None = None,
        worker: BackgroundWorker | None = None,
        clock: Clock | None = None,
        uniform: Callable[[float, float], float] | None = None,
    ) -> None:
        self._routes = {spec.name: _Route(spec, DeliveryCounters()) for spec in lanes}
        self._counters = counters
        self._dead_letters = dead_letters
        self._signal = signal
        if signal is not None:
            signal.wake = self.wake
        self._worker = worker
        self._clock = clock
        self._uniform = uniform
        self._lock = ReentrantLock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._incoming: deque[RecoveredSpool | FlushTicket] = deque()  # not yet seen by the loop
        self._recovered: list[RecoveredSpool] = []
        self._tickets: list[FlushTicket] = []
        self._stopping = SignalSafeEvent()
        self._deadline = 0.0

    # -- any thread -------------------------------------------------------------------------

    def start(self) -> bool:
        """Start the thread unless it runs; False when that cannot be (stopped, exiting)."""
        with self._lock:
            if self._stopping.is_set():
                return False
            if self._thread is not None and self._thread.is_alive():
                return True
            thread = threading.Thread(target=self._work, name="sessiontrace-sender", daemon=True)
            try:
                # Imported here: later, when the interpreter exits, its import fails.
                import concurrent.futures.thread  # noqa: F401
            except RuntimeError as error:  # the interpreter exits
                raise_if_from_signal(error)
                return False
            self._thread = thread
            if not start_thread(thread):
                self._thread = None
            return self._thread is not None

    def wake(self) -> None:
        """Look for records again; cheap, and safe in a signal handler."""
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._handle_incoming)
        except RuntimeError:  # just closed; the next loop looks when it starts
            pass

    def add(self, recovered: RecoveredSpool) -> None:
        """Deliver what a dead process left behind as well."""
        self._incoming.append(recovered)
        self.wake()

    def request_flush(self) -> FlushTicket:
        """Send what was appended before this call without waiting for batches to fill."""
        marks = {}
        for name, route in self._routes.items():
            pending = route.own.pending()  # first, so that the mark never comes too early
            marks[name] = pending + route.counters.settled(route.own)
        ticket = FlushTicket(marks)
        with self._lock:
            running = self._thread is not None and self._thread.is_alive()
            if running:
                self._tickets = [*(other for other in self._tickets if not other.done), ticket]
        if running:
            self._incoming.append(ticket)
            self.wake()
        else:
            for name, route in self._routes.items():
                ticket.answer(name, not route.own.pending())
        return ticket

    def stop(self, timeout: float) -> bool:
        """Deliver what can be delivered within ``timeout`` seconds without retrying, then end.

        Returns within the timeout and a little grace. True when nothing of ours is left pending;
        what is left stays in the spool.
        """
        with self._lock:
            if not self._stopping.is_set():
                self._deadline = time.monotonic() + timeout
                self._stopping.set()
                self.wake()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, timeout) + _JOIN_GRACE_S)
        return not any(route.own.pending() for route in self._routes.values())

    def report(self) -> dict[str, DeliveryStats]:
        """The delivery counts of every destination now."""
        items = self._incoming.copy()
        incoming = [item for item in items if not isinstance(item, FlushTicket)]
        return {name: route.report(incoming) for name, route in self._routes.items()}

    def abandon(self) -> None:
        """In a forked child: this sender is the parent's; it must not even be collected here."""
        self._stopping.set()
        _left_to_parent.append(self)

    # -- the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        with self._lock:
            if self._thread is not threading.current_thread():
                return  # another one was started after a signal interrupted our start
        backoff = _restart_backoff()
        try:
            while True:
                begun = time.monotonic()
                try:
                    self._run_loop()
                    return
                except BaseException as error:
                    self._note_restart("the sender", error)
                if time.monotonic() - begun > _RESTART_CAP_S:
                    backoff.reset()
                if self._stopping.wait(backoff.retry()):
                    return
        finally:
            with self._lock:
                tickets, self._tickets = self._tickets, []
            for ticket in tickets:
                ticket.abandon()

    def _run_loop(self) -> None:
        with importing():
            import encodings.idna  # noqa: F401 - for host names

            import anyio._backends._asyncio  # noqa: F401 - which anyio itself imports late

            from sessiontrace.export import lane  # noqa: F401 - which the loop would import late
            from sessiontrace.runtime import event_loop

        try:
            event_loop.run(self._main)
        finally:
            self._loop = None

    async def _main(self) -> None:
        import asyncio

        import anyio

        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda loop, context: self._counters.note("sender_faults"))
        self._bell = asyncio.Event()
        lanes = [self._lane(route) for route in self._routes.values()]
        self._handle_incoming()
        try:
            async with anyio.create_task_group() as timed:
                timed.start_soon(self._end_in_time, timed.cancel_scope)
                async with anyio.create_task_group() as group:
                    for lane in lanes:
                        group.start_soon(self._keep_running, lane)
                timed.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                for lane in lanes:
                    await lane.close()

    def _lane(self, route: _Route) -> Lane:
        """The route's lane, made on first use, ready for this loop."""
        from sessiontrace.export.lane import Lane
        from sessiontrace.runtime.event_loop import Clock

        clock = self._clock = self._clock or Clock()
        if route.lane is None:
            route.lane = Lane(
                route.spec,
                route.counters,
                owner=self,
                clock=clock,
                backoff=Backoff(self._uniform) if self._uniform else Backoff(),
                dead_letters=self._dead_letters,
            )
        route.lane.open()
        return route.lane

    async def _keep_running(self, lane: Lane) -> None:
        import anyio

        backoff = _restart_backoff()
        while True:
            try:
                await lane.run()
                return
            except Exception as error:
                self._note_restart(f"the lane of {lane.name}", error)
            with anyio.move_on_after(backoff.retry()):
                await self._bell.wait()
                return

    async def _end_in_time(self, scope: anyio.CancelScope) -> None:
        """Once asked to stop, cancel what is still in flight at the deadline."""
        import anyio

        await self._bell.wait()
        await anyio.sleep(max(0.0, self._deadline - time.monotonic()))
        scope.cancel()

    def _handle_incoming(self) -> None:
        """Take what other threads have left for the loop, and have every lane look for records."""
        lanes = [route.lane for route in self._routes.values() if route.lane is not None]
        while self._incoming:
            item = self._incoming[0]
            if isinstance(item, FlushTicket):
                for lane in lanes:
                    lane.flush(item)
            else:
                self._distribute(item)
            self._incoming.popleft()  # only now, so that ``report`` counts it at any moment
        if self._stopping.is_set():
            self._bell.set()
            for lane in lanes:
                lane.request_stop()
        for lane in lanes:
            lane.wake()

    def _distribute(self, recovered: RecoveredSpool) -> None:
        """Give each lane its reader of a recovered spool."""
        self._recovered.append(recovered)
        for name, reader in recovered.readers.items():
            if (route := self._routes.get(name)) is not None and route.lane is not None:
                route.lane.add(reader)
        self.release_finished()

    # -- called by the lanes (``LaneOwner``) ------------------------------------------------

    def release_finished(self) -> None:
        """Give back the recovered spools that owe nothing more to these lanes."""
        for recovered in list(self._recovered):
            ours = [reader for name, reader in recovered.readers.items() if name in self._routes]
            if all(reader.finished() for reader in ours):
                self._recovered.remove(recovered)
                if self._worker is not None:
                    self._worker.submit(recovered.release, lambda outcome: None)

    def may_sleep(self) -> bool:
        """Whether all lanes are quiet and the next record will wake them."""
        if self._signal is None or self._clock is None:
            return False
        quiet_from = self._clock.now() - SLEEPY_AFTER_S
        lanes = [route.lane for route in self._routes.values() if route.lane is not None]
        if not all(lane.quiet_since < quiet_from for lane in lanes):
            return False
        if self._signal.arm():
            return True
        for lane in lanes:  # a record that came just now may have woken none of them
            lane.wake()
        return False

    def _note_restart(self, what: str, error: BaseException) -> None:
        self._counters.note("sender_restarts")
        log.log_once("sender", "%s failed (%s) and starts again", what, type(error).__name__)


def _restart_backoff() -> Backoff:
    """Waits before a failed lane or loop starts again: doubling, without jitter."""
    return Backoff(lambda low, high: high, initial_s=_RESTART_S, cap_s=_RESTART_CAP_S)
