"""Times of calls in 16 bits: what a roll-up keeps of them."""

from __future__ import annotations

from itertools import pairwise

from sessiontrace.store.clickhouse.rollups.time_codes import code, time_of
from sessiontrace.store.dashboard.measures import micros

HOUR = 3_600_000_000
TIMES = sorted({0, 1, 999, 9_999, *(n**3 for n in range(2_900)), *(10**n for n in range(11))})


def test_a_code_keeps_four_digits_of_a_time() -> None:
    """The figures of a session are the same before and after it has its roll-up."""
    assert [time_of(code(time)) for time in TIMES] == [micros(time / 1000) for time in TIMES]


def test_codes_are_in_the_order_of_their_times() -> None:
    """So a percentile of codes is the code of the percentile."""
    assert all(code(before) <= code(after) for before, after in pairwise(TIMES))
    assert all(time_of(n) < time_of(n + 1) for n in range(65_535))


def test_a_call_of_a_day_counts_as_the_longest_time() -> None:
    """Sixteen bits end at seven hours."""
    assert code(24 * HOUR) == code(8 * HOUR) == 65_535
    assert 7 * HOUR < time_of(65_535) < 7.1 * HOUR
