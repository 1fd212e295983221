"""``sample=``: from a number, a ``Sample`` or a variable, and refused where it makes no sense."""

from __future__ import annotations

import math
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.config import resolve
from sessiontrace.model.sampling import Sample


def sample_of(given: Any = None, env: str | None = None) -> Sample:
    variables = {} if env is None else {"SESSIONTRACE_SAMPLE": env}
    return resolve(("local",), {"sample": given}, variables)[1].sample


def test_a_number_is_a_rate_and_costs_nothing_at_the_end() -> None:
    """``sample=0.1`` decides when a session opens, and so does a ``Sample`` with the rate alone."""
    for sample in (sample_of(0.1), sample_of(st.Sample(rate=0.1)), sample_of(env="0.1")):
        assert (sample.head, sample.decides_at_end) == (0.1, False)
    assert sample_of() == Sample()
    assert sample_of(0) == Sample(rate=0)


@pytest.mark.parametrize(
    "matters", [{"keep_errors": True}, {"slower_than": 0.0}, {"score_below": 0.5}], ids=str
)
def test_whatever_matters_at_the_end_makes_all_sessions_be_recorded(matters: Any) -> None:
    """The rate then is what is kept of the rest. With a rate of 1 there is nothing to decide."""
    assert (Sample(rate=0.1, **matters).head, Sample(rate=0.1, **matters).decides_at_end) == (
        1.0,
        True,
    )
    assert (Sample(**matters).head, Sample(**matters).decides_at_end) == (1.0, False)


def test_the_variable_takes_all_of_it() -> None:
    """``SESSIONTRACE_SAMPLE=0.1,keep_errors,slower_than=2,score_below=0.5``."""
    wanted = Sample(0.1, True, 2.0, 0.5)
    assert sample_of(env="0.1,keep_errors,slower_than=2,score_below=0.5") == wanted
    assert sample_of(env="slower_than=2, keep_errors, rate=0.1,score_below=.5") == wanted


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (1.5, "rate"),
        (-0.1, "rate"),
        (math.nan, "rate"),
        (True, "rate"),
        ([], "rate"),
        (Sample(rate="all"), "rate"),  # type: ignore[arg-type]
        (Sample(keep_errors="yes"), "keep_errors"),  # type: ignore[arg-type]
        (Sample(slower_than=-1), "slower_than"),
        (Sample(slower_than=math.inf), "slower_than"),
        (Sample(score_below="low"), "score_below"),  # type: ignore[arg-type]
        (Sample(score_below={"helpful": None}), "score_below"),  # type: ignore[dict-item]
        ("often", "often"),
        ("0.1,keep_error", "keep_error"),
        ("0.1,slower_than=", "slower_than"),
    ],
)
def test_what_makes_no_sense_is_refused_at_init(given: Any, word: str) -> None:
    """One ConfigError that names the option and its variable; nothing is half configured."""
    with pytest.raises(st.ConfigError) as caught:
        sample_of(given)
    (fault,) = caught.value.faults
    assert word in fault
    assert "SESSIONTRACE_SAMPLE" in fault


def test_several_faults_are_told_at_once() -> None:
    """Who mends one should not find the next."""
    with pytest.raises(st.ConfigError, match=r"rate.*slower_than"):
        sample_of(Sample(rate=2, slower_than=-1))
