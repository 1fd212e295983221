"""The sender's thread: starting, sleeping, flushing, adopting, surviving and stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from support.fake_backend import Backend, answer, eventually, read_request, stall
from support.lane_harness import MemorySource, PlainExporter, event
from support.patience import patience

from sessiontrace.export.protocol import Batch, Reply, Request, Transport
from sessiontrace.export.sender import LaneSpec, Sender
from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.wake import WakeSignal
from sessiontrace.runtime.worker import BackgroundWorker

THREAD = "sessiontrace-sender"


def over_http(backend: Backend) -> Callable[[], Transport]:
    def make() -> Transport:
        from sessiontrace.export.http_transport import HttpTransport

        return HttpTransport(backend.url)

    return make


class ReleaseWorker(BackgroundWorker):
    """A worker that only notes the recovered spools it should release."""

    def __init__(self) -> None:
        super().__init__(tick=lambda: None, counters=Counters())
        self.released: list[Any] = []

    def submit(self, job: Any, done: Any) -> None:
        self.released.append(job.__self__)


@attrs.define
class Rig:
    """A sender over one memory source and one backend."""

    sender: Sender
    source: MemorySource
    counters: Counters
    released: list[Any]


@contextmanager
def running(
    backend: Backend,
    records: Sequence[Any] = (),
    *,
    exporter: PlainExporter | None = None,
    transport: Callable[[], Transport] | None = None,
    signal: WakeSignal | None = None,
    more: Sequence[LaneSpec] = (),
) -> Iterator[Rig]:
    source, counters, worker = MemorySource(records), Counters(), ReleaseWorker()
    spec = LaneSpec(
        "there", exporter or PlainExporter(max_age_s=0.1), transport or over_http(backend), source
    )
    sender = Sender(lanes=[spec, *more], counters=counters, signal=signal, worker=worker)
    assert sender.start()
    try:
        yield Rig(sender, source, counters, worker.released)
    finally:
        sender.stop(2.0)
        eventually(lambda: THREAD not in {thread.name for thread in threading.enumerate()})


def test_records_arrive_without_being_asked_for() -> None:
    """The plain case: a thread, a loop, a socket."""
    with Backend() as backend, running(backend, [event(n) for n in range(10)]) as rig:
        eventually(lambda: rig.sender.report()["there"].acked == 10)
        assert len(backend.requests) == 1
        assert len(backend.requests[0].json) == 10


def test_it_starts_once_and_never_again_after_it_was_stopped() -> None:
    """start() is called by everyone who is not sure; one thread is all there ever is."""
    with Backend() as backend, running(backend) as rig:
        assert rig.sender.start()
        assert sum(thread.name == THREAD for thread in threading.enumerate()) == 1
        assert rig.sender.stop(2.0)
        assert not rig.sender.start()
        assert rig.sender.stop(2.0)


def test_no_thread_can_be_started_at_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 refuses new threads while it shuts down: that is no exception of ours."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    spec = LaneSpec("there", PlainExporter(), lambda: pytest.fail("not now"), MemorySource())
    sender = Sender(lanes=[spec], counters=Counters())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not sender.start()
    assert sender.request_flush().wait(0)
    assert sender.stop(0.1)


def test_a_flush_without_a_thread_answers_at_once() -> None:
    """Nothing was started: what is pending stays pending, and nobody waits for it."""
    source = MemorySource([event(1)])
    spec = LaneSpec("there", PlainExporter(), lambda: pytest.fail("not now"), source)
    sender = Sender(lanes=[spec], counters=Counters())
    ticket = sender.request_flush()
    assert ticket.done
    assert not ticket.wait(0)


def test_B15_a_flush_returns_within_its_timeout_whatever_happens() -> None:
    """The backend accepts and says nothing."""
    with Backend(lambda request: [stall(30)]) as backend, running(backend, [event(1)]) as rig:
        begun = time.monotonic()
        assert not rig.sender.request_flush().wait(0.3)
        assert time.monotonic() - begun < 1
        begun = time.monotonic()
        assert not rig.sender.stop(0.2)
        assert time.monotonic() - begun < 1


def test_ten_threads_flush_at_once() -> None:
    """Every one of them gets its answer, and a callback is called exactly once."""
    outcomes: list[bool] = []
    called: list[bool] = []
    with Backend() as backend, running(backend, [event(n) for n in range(100)]) as rig:

        def flush() -> None:
            ticket = rig.sender.request_flush()
            ticket.add_done_callback(called.append)
            outcomes.append(ticket.wait(patience(5)))

        threads = [threading.Thread(target=flush) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(patience(10))
        eventually(lambda: len(called) == 10)
        assert outcomes == called == [True] * 10


def test_a_callback_that_fails_harms_nobody() -> None:
    """The waiter's loop may be closed by the time its flush is done."""

    def fail(outcome: bool) -> None:
        raise RuntimeError("Event loop is closed")

    with Backend() as backend, running(backend, [event(1)]) as rig:
        ticket = rig.sender.request_flush()
        ticket.add_done_callback(fail)
        assert ticket.wait(patience(5))
        assert rig.sender.request_flush().wait(patience(5))


def test_stop_delivers_what_is_there_and_only_then_ends() -> None:
    """Shutdown right after the last record: it arrives."""
    with Backend(latency=0.1) as backend:
        exporter = PlainExporter(max_age_s=30.0)
        with running(backend, [event(n) for n in range(2500)], exporter=exporter) as rig:
            assert rig.sender.stop(5.0)
            assert rig.sender.report()["there"].acked == 2500


def test_stop_cuts_off_what_takes_too_long() -> None:
    """Five batches at half a second each, and 0.7 s to go: what was answered is settled, the rest
    is still owed, and stop() keeps its word."""
    with Backend(latency=0.5) as backend:
        exporter = PlainExporter(max_records=10)
        with running(backend, [event(n) for n in range(50)], exporter=exporter) as rig:
            eventually(lambda: backend.requests)
            begun = time.monotonic()
            assert not rig.sender.stop(0.7)
            assert time.monotonic() - begun < 1.2
            report = rig.sender.report()["there"]
            assert 0 < report.acked < 50
            assert report.acked + report.pending == 50


def test_a_dead_destination_does_not_hold_up_the_exit() -> None:
    """Nothing listens there: one attempt, no waiting for the rest of the budget."""
    with Backend() as backend:
        backend.down()
        with running(backend, [event(1)]) as rig:
            begun = time.monotonic()
            assert not rig.sender.stop(5.0)
            assert time.monotonic() - begun < 1.5


def test_a_slow_destination_never_delays_another() -> None:
    """One lane hangs in a request for the whole test; the other one's records arrive."""
    with Backend() as quick, Backend(lambda request: [stall(30)]) as slow:
        hanging = LaneSpec("slow", PlainExporter(), over_http(slow), MemorySource([event(1)]))
        with running(quick, more=[hanging]) as rig:
            eventually(lambda: slow.requests)
            for n in range(5):
                rig.source.records.append(event(n))
                eventually(lambda: not rig.source.pending())
            assert rig.sender.report()["slow"].pending == 1


def test_a_flush_waits_for_every_lane() -> None:
    """Two destinations, one of them blocked: the outcome is False although the other delivered."""
    with Backend() as good, Backend(lambda request: answer(401)) as bad:
        blocked = LaneSpec("bad", PlainExporter(), over_http(bad), MemorySource([event(1)]))
        with running(good, [event(1)], more=[blocked]) as rig:
            ticket = rig.sender.request_flush()
            eventually(lambda: ticket.done)
            assert not ticket.wait(0)
            assert rig.sender.report()["there"].acked == 1
            assert rig.sender.report()["bad"].state == "blocked"


def test_it_sleeps_when_there_is_nothing_to_do_and_wakes_at_once() -> None:
    """After two quiet seconds the sender arms the signal; until it fires the lanes read nothing."""
    signal = WakeSignal(lambda: 0)
    with Backend() as backend, running(backend, signal=signal) as rig:
        reads = 0
        read = rig.source.read

        def counting(max_records: int, max_bytes: int) -> Any:
            nonlocal reads
            reads += 1
            return read(max_records, max_bytes)

        rig.source.read = counting  # type: ignore[method-assign]
        eventually(lambda: signal.armed)
        eventually(lambda: _still(lambda: reads))
        rig.source.records.append(event(1))
        assert _still(lambda: reads)
        signal.notify()
        eventually(lambda: not rig.source.pending())


def _still(value: Callable[[], int]) -> bool:
    before = value()
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        time.sleep(0.02)
    return value() == before


def test_a_record_that_slips_in_while_falling_asleep_is_not_forgotten() -> None:
    """It is appended after the last look and while the sender arms the signal."""
    slipped = threading.Event()
    with Backend() as backend:
        rigs: list[Rig] = []

        def progress() -> int:
            if rigs and signal.armed and not slipped.is_set():
                rigs[0].source.records.append(event(1))
                slipped.set()
            return 0

        signal = WakeSignal(progress)
        with running(backend, signal=signal) as rig:
            rigs.append(rig)
            assert slipped.wait(patience(10))
            eventually(lambda: not rig.source.pending(), timeout=2)


@attrs.define
class Orphan:
    """A recovered spool."""

    readers: dict[str, MemorySource]

    def release(self) -> None:
        """The worker would give up the spool's lock here."""


def test_an_adopted_spool_is_given_back_when_all_its_readers_are_through() -> None:
    """A dead process owed two of our destinations and one we do not know."""
    with Backend() as one, Backend() as two:
        other = LaneSpec("two", PlainExporter(), over_http(two), MemorySource())
        with running(one, more=[other]) as rig:
            orphan = Orphan(
                {
                    "there": MemorySource([event(1)], adopted=True),
                    "two": MemorySource([event(n) for n in range(5)], adopted=True),
                    "unknown": MemorySource([event(1)], adopted=True),
                }
            )
            rig.sender.add(orphan)
            eventually(lambda: rig.released)
            assert rig.released == [orphan]
            assert rig.sender.report()["two"].adopted_acked == 5
            assert rig.sender.report()["two"].acked == 0


def test_what_is_added_before_the_thread_runs_is_not_lost() -> None:
    """The keeper may adopt a spool before the first record starts the sender."""
    with Backend() as backend:
        sender = Sender(
            lanes=[LaneSpec("there", PlainExporter(), over_http(backend), MemorySource())],
            counters=Counters(),
            worker=(worker := ReleaseWorker()),
        )
        sender.add(Orphan({"there": MemorySource([event(1)], adopted=True)}))
        assert sender.report()["there"].adopted_pending == 1, "it is in the books at once"
        assert sender.start()
        eventually(lambda: worker.released)
        sender.stop(2.0)
        assert sender.report()["there"].adopted_acked == 1


@pytest.mark.parametrize("escape", [SystemExit, MemoryError, KeyboardInterrupt])
def test_B14_whatever_escapes_the_loop_starts_again(escape: type[BaseException]) -> None:
    """An exporter raises what nobody catches, twice. The thread goes on, no record is lost, and
    the restarts are counted."""
    log.reset()
    times = 2

    class Deadly(PlainExporter):
        def interpret(self, request: Request, reply: Reply) -> Any:
            nonlocal times
            if times:
                times -= 1
                raise escape
            return super().interpret(request, reply)

    with (
        Backend() as backend,
        running(backend, [event(n) for n in range(3)], exporter=Deadly()) as rig,
    ):
        rig.sender.request_flush()
        eventually(lambda: not rig.source.pending())
        assert rig.sender.report()["there"].acked == 3
        if escape is not MemoryError:  # that one is an Exception: the lane alone retries
            assert rig.counters.noted["sender_restarts"] == 2


def test_a_source_that_fails_restarts_its_lane_only() -> None:
    """Reading the disk fails once: the lane is started again, the other never notices."""
    failing = MemorySource([event(1)])
    read = failing.read
    faults = [OSError("EIO")]

    def fail_once(max_records: int, max_bytes: int) -> Any:
        if faults:
            raise faults.pop()
        return read(max_records, max_bytes)

    failing.read = fail_once  # type: ignore[method-assign]
    with Backend() as backend:
        spec = LaneSpec("failing", PlainExporter(), over_http(backend), failing)
        with running(backend, [event(2)], more=[spec]) as rig:
            eventually(lambda: not failing.pending() and not rig.source.pending())
            assert rig.counters.noted["sender_restarts"] == 1


def test_a_slow_encode_steps_aside_for_the_application() -> None:
    """A batch of many requests is encoded piece by piece: while that goes on, another thread gets
    the interpreter again and again."""

    class Slow(PlainExporter):
        def encode(self, batch: Batch) -> Any:
            def stage() -> Iterator[Request]:
                for at in range(len(batch.records)):
                    until = time.perf_counter() + 20e-6
                    while time.perf_counter() < until:
                        pass
                    yield Request("POST", "/", b"", (at,))

            yield stage()

    with Backend() as backend:
        exporter = Slow(max_records=1000)
        with running(backend, [event(n) for n in range(2000)], exporter=exporter) as rig:
            stalls = []
            deadline = time.monotonic() + patience(10)
            while rig.source.pending() and time.monotonic() < deadline:
                begun = time.perf_counter()
                time.sleep(0.001)
                stalls.append(time.perf_counter() - begun - 0.001)
            stalls.sort()
            assert not rig.source.pending()
            assert stalls[int(len(stalls) * 0.9)] < patience(0.1), "seconds, without"


def test_reports_are_taken_from_any_thread_at_any_time() -> None:
    """Snapshots while lanes come and go."""
    with Backend() as backend, running(backend, [event(n) for n in range(500)]) as rig:
        for n in range(20):
            rig.sender.add(Orphan({"there": MemorySource([event(n)], adopted=True)}))
            report = rig.sender.report()["there"]
            assert report.acked + report.pending == 500
        eventually(lambda: len(rig.released) == 20)


def test_a_connection_that_ends_with_the_backend_is_made_anew() -> None:
    """The backend is restarted between two batches."""
    with Backend() as backend, running(backend, [event(1)]) as rig:
        eventually(lambda: not rig.source.pending())
        backend.drop_connections()
        backend.scripts.append([read_request(), *answer(200)])
        rig.source.records.append(event(2))
        eventually(lambda: not rig.source.pending())
        assert rig.sender.report()["there"].retries == 0
