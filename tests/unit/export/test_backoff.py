"""Backoff and probes, as arithmetic."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiontrace.export.backoff import Backoff


def test_ceilings_double_from_one_second_to_one_minute() -> None:
    """With the jitter at its highest, the waits are the ceilings."""
    backoff = Backoff(lambda low, high: high)
    assert [backoff.retry() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_jitter_is_full() -> None:
    """A thousand clients that fail together come back spread over the whole interval."""
    draw = random.Random(1).uniform
    waits = []
    for _ in range(1000):
        backoff = Backoff(draw, failures=5)
        waits.append(backoff.retry())
    assert min(waits) < 1
    assert max(waits) > 31
    assert sum(waits) / len(waits) == pytest.approx(16, abs=1)


@given(st.floats(0, 3600), st.integers(0, 10_000))
def test_the_backends_wish_is_a_lower_bound(after: float, failures: int) -> None:
    """Whatever we would have drawn ourselves, and after however many failures."""
    wait = Backoff(failures=failures).retry(after)
    assert after <= wait <= max(after, 60)


def test_probes_are_slow_and_a_success_forgets_everything() -> None:
    """1, 2, 5, 5 ... minutes; after a success both sequences begin anew."""
    backoff = Backoff(lambda low, high: high)
    assert [backoff.probe() for _ in range(4)] == [60, 120, 300, 300]
    backoff.retry()
    backoff.reset()
    assert (backoff.probe(), backoff.retry()) == (60, 1)
