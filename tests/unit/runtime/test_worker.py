"""The background worker: it ticks, it takes jobs, and nothing ends it but stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from support.patience import patience

from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.worker import BackgroundWorker


def eventually(true: Callable[[], bool], within: float = 10.0) -> bool:
    deadline = time.monotonic() + patience(within)
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


@pytest.fixture
def make() -> Iterator[Callable[..., BackgroundWorker]]:
    made: list[BackgroundWorker] = []

    def worker(
        tick: Callable[[], None] = lambda: None, interval_s: float = 60.0
    ) -> BackgroundWorker:
        log.reset()
        made.append(BackgroundWorker(tick=tick, interval_s=interval_s, counters=Counters()))
        return made[-1]

    yield worker
    for one in made:
        assert one.stop(10)


def test_it_ticks_by_itself_and_at_once_when_woken(make: Callable[..., BackgroundWorker]) -> None:
    """Every interval, and whenever somebody needs a spare segment now."""
    ticks: list[float] = []
    often = make(lambda: ticks.append(0), interval_s=0.001)
    assert often.start()
    assert eventually(lambda: len(ticks) > 5)

    woken: list[float] = []
    rarely = make(lambda: woken.append(0))
    assert rarely.start()
    assert eventually(lambda: len(woken) == 1), "the first tick comes at once"
    for count in range(2, 6):
        rarely.wake()
        assert eventually(lambda count=count: len(woken) == count)  # type: ignore[misc]


def test_starting_twice_starts_one_thread(make: Callable[..., BackgroundWorker]) -> None:
    """Each first record of each tracer may ask; one thread a worker is enough."""
    worker = make()
    before = threading.active_count()
    assert all(worker.start() for _ in range(3))
    assert threading.active_count() == before + 1


def test_jobs_run_there_in_order_with_their_outcome(make: Callable[..., BackgroundWorker]) -> None:
    """The local destination's writes: result or exception, on the worker's own thread."""
    worker = make()
    outcomes: list[object] = []
    names: list[str] = []

    def fail() -> None:
        raise OSError("busy")

    def name() -> str:
        names.append(threading.current_thread().name)
        return "done"

    worker.submit(name, outcomes.append)
    worker.submit(fail, outcomes.append)
    worker.start()
    assert eventually(lambda: len(outcomes) == 2)
    assert names == ["sessiontrace-keeper"]
    assert outcomes[0] == "done"
    assert isinstance(outcomes[1], OSError)


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(1), MemoryError(), KeyboardInterrupt()]
)
def test_nothing_that_is_raised_ends_it(
    make: Callable[..., BackgroundWorker], error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A tick or a callback fails, even by sys.exit: counted, told once a minute, and on it goes."""
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        raise error

    worker = make(tick, interval_s=0.001)
    worker.start()
    assert eventually(lambda: len(ticks) > 4)
    outcomes: list[object] = []

    def exit_now() -> None:
        raise SystemExit(3)

    worker.submit(exit_now, outcomes.append)
    assert eventually(lambda: len(outcomes) == 1)
    assert isinstance(outcomes[0], SystemExit)
    assert worker._counters.noted["keeper_restarts"] >= 4
    assert len([r for r in caplog.records if "maintenance failed" in r.message]) == 1


def test_stop_finishes_the_jobs_at_hand(make: Callable[..., BackgroundWorker]) -> None:
    """The last writes before exit are written; what comes after is refused, not forgotten."""
    worker = make()
    outcomes: list[object] = []
    gate = threading.Event()
    worker.start()
    worker.submit(lambda: gate.wait(patience(10)), outcomes.append)
    for number in range(5):
        worker.submit(lambda number=number: number, outcomes.append)  # type: ignore[misc]
    gate.set()
    assert worker.stop(10)
    assert outcomes == [True, 0, 1, 2, 3, 4]
    worker.submit(lambda: "late", outcomes.append)
    assert isinstance(outcomes[-1], RuntimeError)
    assert not worker.start()


def test_stop_gives_up_in_time_on_a_job_that_hangs(make: Callable[..., BackgroundWorker]) -> None:
    """A dead disk must not hold up the exit."""
    worker = make()
    gate, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        gate.wait(patience(10))

    worker.start()
    worker.submit(hang, lambda outcome: None)
    assert begun.wait(patience(10))
    assert not worker.stop(0.01)
    gate.set()


def test_a_job_may_stop_the_worker(make: Callable[..., BackgroundWorker]) -> None:
    """Shutdown called from our own thread does not wait for itself."""
    worker = make()
    answers: list[object] = []
    worker.start()
    worker.submit(lambda: worker.stop(10), answers.append)
    assert eventually(lambda: len(answers) == 1)
    assert answers == [False]
    assert worker.stop(10)


def test_a_worker_that_never_ran_refuses_its_jobs_at_stop(
    make: Callable[..., BackgroundWorker],
) -> None:
    """At interpreter exit no thread can be started: whoever waits for a job must not wait on."""
    worker = make()
    outcomes: list[object] = []
    worker.submit(lambda: 1, outcomes.append)
    assert worker.stop(0.01)
    assert isinstance(outcomes[0], RuntimeError)


def test_no_thread_at_exit_is_told_by_false(
    make: Callable[..., BackgroundWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.12 refuses new threads while it shuts down."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    worker = make()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not worker.start()
    assert worker.start()


def test_a_signal_handler_may_wake_it_within_wake(make: Callable[..., BackgroundWorker]) -> None:
    """An Event would deadlock when its own set() is interrupted by a handler that sets it."""
    ticks: list[int] = []
    worker = make(lambda: ticks.append(1))
    worker.start()

    def wake(signum: int, frame: FrameType | None) -> None:
        worker.wake()

    old = signal.signal(signal.SIGALRM, wake)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    try:
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            worker.wake()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    before = len(ticks)
    worker.wake()
    assert eventually(lambda: len(ticks) > before)
