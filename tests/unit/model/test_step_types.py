"""Every place that knows types of steps knows those of the one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sessiontrace as st
from sessiontrace.capture.decorators.typed import TypedDecorators
from sessiontrace.model.step_types import (
    BASES,
    CALL_TYPES,
    SPAN_TYPES,
    STEP_TYPES,
    base_type,
    refined,
    type_of_call,
)
from sessiontrace.testing import capture
from sessiontrace.wire import model_call
from sessiontrace.wire.semconv import OPERATIONS
from sessiontrace.wire.span_content import openinference_kind
from sessiontrace.wire.span_reader import event_type

STATIC = Path(st.__file__).parent / "server" / "static"


def test_a_base_is_its_own_base_and_vendors_with_three_types_get_it() -> None:
    """HoneyHive has three; a type of another program's making stays as it is."""
    assert {row.base for row in STEP_TYPES.values()} == set(BASES)
    assert [base_type(base) for base in BASES] == list(BASES)
    assert [base_type(odd) for odd in ("session", "odd", None, ["agent"])] == [
        "session",
        "odd",
        None,
        ["agent"],
    ]
    assert {"model", "embedding"} == CALL_TYPES


@pytest.mark.parametrize("name", STEP_TYPES)
def test_a_type_has_a_decorator_and_comes_back_from_what_its_span_says(name: str) -> None:
    """``@st.agent`` and ``type="agent"`` are one; the span's operation and kind name the type."""
    assert name in st.api.__all__
    assert name in vars(TypedDecorators)
    step = getattr(st, name)(lambda question: question)
    with capture() as recorded:
        step("why")
        with st.span("by its type", type=name):
            pass
    assert [event["event_type"] for event in recorded.events] == [name, name]
    event = {"event_type": name}
    operation = model_call.operation(event)
    kind = openinference_kind(event, operation)
    attributes = {"gen_ai.operation.name": operation, "openinference.span.kind": kind}
    stated = {key: value for key, value in attributes.items() if value is not None}
    assert event_type(stated) == name
    assert OPERATIONS.get(operation or "", name) == name


def test_a_type_is_refined_only_where_its_base_agrees() -> None:
    """What a backend with three types says in the metadata is believed with care."""
    assert refined("chain", "Agent") == "agent"
    assert refined("tool", "agent") == "tool"
    assert refined("chain", {"odd": 1}) == "chain"
    assert [type_of_call(kind) for kind in ("embeddings", "chat", None, ["odd"])] == [
        "embedding",
        "model",
        "model",
        "model",
    ]


def test_operations_lead_to_types_of_the_table() -> None:
    """No operation of a received span is of a type that nothing else knows."""
    assert set(OPERATIONS.values()) <= set(STEP_TYPES)
    assert set(STEP_TYPES) < SPAN_TYPES


def test_the_page_draws_each_type() -> None:
    """A shape and a colour of its own, so that no type looks like another by accident."""
    shapes = (STATIC / "js" / "elements.js").read_text()
    colours = (STATIC / "css" / "base.css").read_text()
    drawn = set(re.findall(r"(?m)^  (\w+): \(\) =>", shapes))
    assert set(STEP_TYPES) <= drawn
    assert all(f".type-{name}" in colours for name in STEP_TYPES)
