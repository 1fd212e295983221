"""The compiled form of a record's facets gives the lines of its Python form, whatever it holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrace.model.record import EVENT, START, UPDATE
from sessiontrace.store import _facet_lines_py

_facet_lines_c: Any = pytest.importorskip(
    "sessiontrace.store._facet_lines_c", reason="not compiled"
)

keys = st.one_of(
    st.sampled_from(["tags", "response_model", "model", "cost", "a_tokens", "plan", "k" * 99, ""]),
    st.text(max_size=4),
)
texts = st.one_of(st.text(max_size=6), st.sampled_from(["İß\n\u2028x", "v" * 300, "A=B", ""]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=30), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=12,
)
many = st.integers(0, 130).map(lambda count: {f"k{number}": number for number in range(count)})
names = ("event_type", "event_name", "start_time", "error", "feedback", "metrics", "config")
events = st.fixed_dictionaries(
    {"event_id": st.sampled_from(["e", "s"]), "session_id": st.just("s")},
    optional={
        **dict.fromkeys(names, values),
        "metadata": st.one_of(values, many),
        "user_properties": values,
    },
)


@given(event=events, kind=st.sampled_from([EVENT, START, UPDATE]))
@settings(max_examples=120, deadline=None)
def test_both_forms_give_the_same_lines(event: dict[str, Any], kind: bytes) -> None:
    """Values of every type, long ones, many of them, and texts with line breaks."""
    compiled, plain = (form.lines_of(kind, event) for form in (_facet_lines_c, _facet_lines_py))
    assert compiled == plain


def test_what_the_compiled_form_remembers_is_not_mistaken_when_there_are_many() -> None:
    """More values than are remembered: each record still gives its own."""
    for number in range(20_000):
        event = {"event_id": "e", "session_id": "s", "metadata": {"request": f"r{number}"}}
        assert _facet_lines_c.lines_of(EVENT, event) == [f"\nmetadata.request=r{number}\n"]
