"""A consumer sleeps until there is work: nothing that comes at the last moment is overlooked."""

from __future__ import annotations

import threading

from support.patience import patience

from sessiontrace.runtime.wake import WakeSignal


def signal_over(queue: list[int]) -> tuple[WakeSignal, list[str]]:
    woken: list[str] = []
    signal = WakeSignal(lambda: len(queue))
    signal.wake = lambda: woken.append("woken")
    return signal, woken


def test_it_arms_only_after_the_consumer_had_a_look_at_all_there_is() -> None:
    """New work makes ``arm`` refuse once: every lane looks before one of them sleeps."""
    queue = [1]
    signal, _ = signal_over(queue)
    assert not signal.arm()
    assert signal.arm()
    queue.append(2)
    assert not signal.arm()
    assert signal.arm()


def test_it_wakes_once_for_each_time_it_was_armed() -> None:
    """A wake-up costs a system call, so a burst of records causes one."""
    queue: list[int] = []
    signal, woken = signal_over(queue)
    assert not signal.arm()
    assert signal.arm()
    for number in range(5):
        queue.append(number)
        if signal.armed:
            signal.notify()
    assert woken == ["woken"]
    assert not signal.armed


def test_work_that_arrives_while_it_arms_keeps_the_consumer_awake() -> None:
    """Between the first look at the progress and the second."""
    queue: list[int] = []

    def progress() -> int:
        if signal.armed:
            queue.append(1)
        return len(queue)

    signal = WakeSignal(progress)
    assert not signal.arm()
    assert not signal.arm()
    assert not signal.armed


def test_a_signal_without_a_consumer_is_only_disarmed() -> None:
    """A spool that no sender reads takes records like any other."""
    signal = WakeSignal(lambda: 0)
    signal.armed = True
    signal.notify()
    assert not signal.armed


def test_no_work_is_lost_between_producers_and_a_sleeping_consumer() -> None:
    """The race itself, a few thousand times: the consumer sleeps without a timeout of its own."""
    queue: list[int] = []
    bell = threading.Event()
    signal = WakeSignal(lambda: len(queue))
    signal.wake = bell.set
    seen = 0
    overslept: list[int] = []

    def produce() -> None:
        for number in range(5_000):
            queue.append(number)
            if signal.armed:
                signal.notify()

    producers = [threading.Thread(target=produce) for _ in range(3)]
    for producer in producers:
        producer.start()
    while seen < 15_000 and not overslept:
        bell.clear()
        seen = len(queue)
        if signal.arm() and len(queue) == seen and seen < 15_000 and not bell.wait(patience(10)):
            overslept.append(seen)
    for producer in producers:
        producer.join()
    assert not overslept
