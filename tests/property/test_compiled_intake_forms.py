"""The compiled forms of the server's intake give what their Python forms give, whatever comes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrace.server.apis.otlp import _event_layout_py
from sessiontrace.store import _facet_lines_py
from sessiontrace.store.columns import _event_columns_py
from sessiontrace.wire.span_reader import SpanFields

_event_columns_c: Any = pytest.importorskip(
    "sessiontrace.store.columns._event_columns_c", reason="not compiled"
)
_event_layout_c: Any = pytest.importorskip(
    "sessiontrace.server.apis.otlp._event_layout_c", reason="not compiled"
)
_facet_lines_c: Any = pytest.importorskip(
    "sessiontrace.store._facet_lines_c", reason="not compiled"
)

numbers = st.one_of(
    st.integers(0, 50),
    st.sampled_from([-1, 1 << 32, (1 << 32) - 1, 1 << 53, (1 << 53) - 1, 1 << 70, 0.5, 2.5e-9]),
    st.floats(),
)
values = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=3), st.just([]))
counts = (
    "prompt_tokens", "completion_tokens", "total_tokens", "cost", "total_cost", "input_tokens",
    "cache_read_tokens", "prompt_cost", "completion_cost", "cached", "abandoned", "cancelled",
)  # fmt: skip
usual = st.fixed_dictionaries({}, optional=dict.fromkeys(counts, st.one_of(numbers, values)))
usages = st.one_of(usual, usual, values)
events = st.fixed_dictionaries(
    {},
    optional={
        "event_type": st.sampled_from(["model", "model", "embedding", "chain", "", None, 3]),
        **dict.fromkeys(("parent_id", "event_name", "error"), values),
        **dict.fromkeys(("start_time", "end_time", "duration"), st.one_of(numbers, values)),
        "metadata": usages,
        "metrics": usages,
    },
)


def same(compiled: Any, plain: Any) -> bool:
    """Equal, of equal types; NaN equals itself."""
    return repr(compiled) == repr(plain)


@given(event=events)
@settings(max_examples=300, deadline=None)
def test_the_columns_of_an_event_are_the_same(event: dict[str, Any]) -> None:
    """Counts that are no counts, costs that are texts, times beyond what a store has."""
    compiled, plain = (form.columns_of(event) for form in (_event_columns_c, _event_columns_py))
    assert same(compiled, plain)


times = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(1_700_000_000 * 10**9, 1_800_000_000 * 10**9),
    st.sampled_from([0, 1, 10**6, (1 << 62) - 1, 1 << 62, 1 << 53, (1 << 53) + 1]),
)
buckets = st.sampled_from([{}, {"a": 1}])
reads = st.builds(
    SpanFields,
    st.sampled_from(["model", "chain"]), st.text(max_size=3), buckets, st.none() | buckets,
    buckets, buckets, buckets, buckets, buckets, st.none() | st.text(max_size=2),
)  # fmt: skip
ids = st.none() | st.just("id")


@given(
    read=reads, parent=ids, source=ids, start=times, took=st.one_of(times, st.integers(0, 10**9))
)
@settings(max_examples=200, deadline=None)
def test_an_event_of_a_span_is_laid_out_the_same(
    read: SpanFields, parent: str | None, source: str | None, start: int, took: int
) -> None:
    """Field by field in one order, also at times that no clock should show."""
    compiled, plain = (
        form.event_of(read, "e", "s", parent, source, start, start + took)
        for form in (_event_layout_c, _event_layout_py)
    )
    assert same(compiled, plain)


hexadecimal = st.sampled_from("0123456789abcdefABCDEF")


@given(
    trace=st.text(hexadecimal, min_size=32, max_size=32),
    span=st.text(hexadecimal, min_size=16, max_size=16),
)
def test_the_id_of_an_event_is_the_same(trace: str, span: str) -> None:
    """Digits in upper case too."""
    compiled, plain = (form.derived_id(trace, span) for form in (_event_layout_c, _event_layout_py))
    assert compiled == plain


lines = st.builds("\n{}={}\n".format, st.sampled_from("abc"), st.integers(0, 400))


@given(batches=st.lists(st.lists(lines, max_size=60), max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_session_keeps_the_same_lines(batches: list[list[str]]) -> None:
    """The first ones of each key, however many come."""
    kept = []
    for form in (_facet_lines_c, _facet_lines_py):
        present: dict[str, None] = {}
        counts: dict[str, int] = {}
        for batch in batches:
            form.add_lines(batch, present, counts)
        kept.append((list(present), counts))
    assert kept[0] == kept[1]
