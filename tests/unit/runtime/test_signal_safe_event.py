"""An event between the user's thread, in which signal handlers raise, and a thread of the SDK."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytest

from sessiontrace.runtime.signal_safe_event import SignalSafeEvent


class TimeLimitError(Exception):
    pass


def test_it_is_set_and_cleared_any_number_of_times() -> None:
    """No thread comes back for a time before it was cleared."""
    event = SignalSafeEvent()
    for _ in range(100):
        event.set()
        assert event.is_set()
        assert event.wait(0)
        event.clear()
        assert not event.wait(0)
    assert not event.wait(0.01)


def test_it_wakes_every_thread_that_waits() -> None:
    """Also those that wait without a limit."""
    event, came = SignalSafeEvent(), []
    threads = [threading.Thread(target=lambda: came.append(event.wait())) for _ in range(5)]
    for thread in threads:
        thread.start()
    event.set()
    for thread in threads:
        thread.join(5)
    assert came == [True] * 5


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_B31_signals_that_raise_where_it_is_set_or_waited_for_stop_no_other_thread() -> None:
    """Two threads pass the turn to each other; the alarm raises in one of them all the time."""

    def handler(number: int, frame: FrameType | None) -> None:
        raise TimeLimitError

    request, response, is_over = SignalSafeEvent(), SignalSafeEvent(), SignalSafeEvent()

    def answer() -> None:
        while not is_over.is_set():
            if request.wait(0.05):
                request.clear()
                response.set()

    thread = threading.Thread(target=answer)
    thread.start()
    before = signal.signal(signal.SIGALRM, handler)
    for number in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.000_02 + number % 7 * 0.000_02)
            while True:
                request.set()
                response.wait(0.001)
                response.clear()
        except TimeLimitError:
            continue
    signal.signal(signal.SIGALRM, before)
    request.set()
    assert response.wait(5)
    is_over.set()
    thread.join(5)
    assert not thread.is_alive()
