"""What a call used and cost, read from its record: one reading for exporters, stores and prices."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.model.call_usage import call_cost, call_tokens, call_usage, has_cost


def test_counts_come_from_the_metadata_else_from_the_metrics() -> None:
    """A program may keep its counts with its measurements, under either of the usual names."""
    event = {"metadata": {"prompt_tokens": 7}, "metrics": {"input_tokens": 9, "output_tokens": 3}}
    usage = call_usage(event)
    assert (usage.prompt, usage.completion, usage.tokens) == (7, 3, 10)
    assert call_tokens({"metrics": {"total_tokens": 12}}) == 12


def test_a_prompt_smaller_than_its_own_cache_was_counted_without_it() -> None:
    """A program that copies Anthropic's counts as they are must not get a negative price."""
    counts = {"prompt_tokens": 10, "cache_read_tokens": 90, "cache_write_1h_tokens": 5}
    usage = call_usage({"metadata": counts})
    assert (usage.prompt, usage.cache_write, usage.cache_write_1h) == (105, 5, 5)
    assert usage.exclusive
    assert not call_usage({"metadata": {**counts, "prompt_tokens": 105}}).exclusive


@pytest.mark.parametrize(
    ("values", "cost"),
    [
        ({"cost": 0.5}, 0.5),
        ({"cost": 0}, 0),
        ({"total_cost": 2}, 2),
        ({"cost": 1.0, "prompt_cost": 9.0}, 1.0),
        ({"prompt_cost": 0.25, "completion_cost": 0.5}, 0.75),
        ({"output_cost": 0.5}, 0.5),
        ({}, None),
        ({"cost": None}, None),
        ({"cost": "dear"}, None),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": 1e300}, None),
    ],
)
def test_a_cost_is_a_total_or_the_sum_of_its_parts(values: Any, cost: float | None) -> None:
    """Humanloop reports two parts and no total; what is not an amount is no cost."""
    for place in ("metadata", "metrics"):
        assert call_cost({place: values}) == cost


def test_a_cost_that_is_not_a_number_still_counts_as_reported() -> None:
    """What a program wrote there is not replaced by what we would compute."""
    assert has_cost({"metadata": {"cost": "0.01 EUR"}})
    assert has_cost({"metrics": {"completion_cost": {"usd": 1}}})
    assert not has_cost({"metadata": {"cost": None}, "metrics": "none"})


@pytest.mark.parametrize(
    "name",
    [
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "prompt_audio_tokens",
        "prompt_image_tokens",
        "completion_audio_tokens",
        "completion_image_tokens",
        "web_search_requests",
    ],
)
def test_a_count_that_is_alone_is_read(name: str) -> None:
    """A library may report only one of them."""
    for place in ("metadata", "metrics"):
        assert call_usage({place: {name: 3}}) != call_usage({place: {"other": 3}})
