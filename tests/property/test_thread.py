"""A thread of any records at all: it is readable, or it is values; it never fails."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as any_of
from support.records import T0

from sessiontrace.server.apis.page.thread import thread_turn
from sessiontrace.store.models import EventSummary
from sessiontrace.store.thread.history import History
from sessiontrace.store.thread.turns import turn_of
from sessiontrace.store.thread.units import units_of

LEAVES = any_of.none() | any_of.booleans() | any_of.integers(-9, 9) | any_of.text(max_size=5)
NAMES = any_of.sampled_from(
    ["role", "content", "messages", "tool_calls", "parts", "type", "text", "name", "id", "function",
     "arguments", "input", "output", "choices", "message", "system", "result", "tool_call_id",
     "kwargs", "chat_history", "reasoning", "user", "assistant", "tool"]
)  # fmt: skip
VALUES: Any = any_of.recursive(
    LEAVES | NAMES,
    lambda inner: any_of.lists(inner, max_size=3) | any_of.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
FIELDS = any_of.dictionaries(NAMES, VALUES, max_size=4)


def step(number: int, kind: str, parent: str | None) -> EventSummary:
    return EventSummary(
        event_id=str(number), session_id="s", parent_id=parent, type=kind, name="step",
        start_time=T0 + number, end_time=None, duration=None, status="ended", turn=number == 0,
        error=None, tokens=0, cost=0.0, unpriced=False,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(any_of.lists(any_of.tuples(FIELDS, FIELDS | LEAVES), min_size=3, max_size=3))
def test_any_inputs_and_outputs_are_shown(payloads: list[tuple[Any, Any]]):
    """Whatever stands where a chat, a message, a part or a call should."""
    kinds = ("chain", "model", "model")
    steps = [step(number, kind, None if number == 0 else "0") for number, kind in enumerate(kinds)]
    records = {
        str(number): {"event_type": kind, "inputs": inputs, "outputs": outputs}
        for number, (kind, (inputs, outputs)) in enumerate(zip(kinds, payloads, strict=True))
    }
    history = History()
    for _ in range(2):
        (unit,) = units_of(steps)
        fields = thread_turn(turn_of(unit, records, history))
        assert all(line["text"] or line["parts"] or line["reasoning"] or line["data"] is not None
                   for line in fields["lines"])  # fmt: skip
