"""The counts of what is lost: exact whatever the threads do, and free of locks where they drop."""

from __future__ import annotations

import sys
import threading

from sessiontrace.runtime.counters import Counters


def test_drops_are_counted_exactly_from_many_threads() -> None:
    """Sampling drops most of a program's spans, in all of its threads at once."""
    counters = Counters()

    def drop() -> None:
        for _ in range(2_000):
            counters.drop("sampled")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=drop) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            counters.snapshot()  # looking counts nothing
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    counters.drop("closed")
    counters.note("seen", 3)
    assert counters.snapshot() == ({"sampled": 8_000, "closed": 1}, {"seen": 3})
    assert Counters().snapshot() == ({}, {})
