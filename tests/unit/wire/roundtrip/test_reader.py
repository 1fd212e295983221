"""Our own spans as records, when another sender writes attributes of ours."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.wire.received_span import Attributes, ReceivedSpan
from sessiontrace.wire.roundtrip.reader import fields_of

CHAT = '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'


def read(attributes: Attributes) -> dict[str, Any]:
    """The fields of a model's span with these attributes."""
    span = ReceivedSpan(
        trace_id="a" * 32,
        span_id="b" * 16,
        parent_id=None,
        name="ask",
        start_ns=0,
        end_ns=0,
        attributes={"sessiontrace.event.type": "model", **attributes},
        resource={},
        scope="sessiontrace",
        failed=False,
        message="",
        events=[],
    )
    return fields_of(span)


@pytest.mark.parametrize(
    "changes",
    [
        "{", "7", "[7]", "[[]]", "[[[]]]", '[[["inputs"],1,2,3]]', '[[["event_id"],"x"]]',
        '[[["inputs","chat_history",9,"content"],"x"]]', '[[["inputs","chat_history","x"]]]',
        '[[["inputs","chat_history",0,"content"],null,"parsed"]]', '[[["outputs",0],1]]',
        '[[["inputs","chat_history"],null,"no such form"]]', '[[["inputs",{}],1]]',
        '[[["event_name"],{"a":1}]]', '[[["metadata"],[1]]]', '[[["children_ids"],7]]',
    ],
)  # fmt: skip
def test_changes_that_no_record_needs_change_nothing(changes: str) -> None:
    """Nor do they name another event."""
    fields = read({"gen_ai.input.messages": CHAT, "sessiontrace.changes": changes})
    assert fields["inputs"] == {"chat_history": [{"role": "user", "content": "hi"}]}
    assert not {"event_id", "session_id", "metadata", "children_ids"} & fields.keys()
    assert isinstance(fields.get("event_name", "ask"), str)


@pytest.mark.parametrize(
    "chat",
    ["[", "7", '{"input":{"0":[9]}}', '{"input":{"0":{"a":1}}}', '{"input":7,"inputs":[1]}',
     '{"input":{"0":["a","b"]}}', '{"input":{"0":[0,1,7]}}'],
)  # fmt: skip
def test_a_layout_that_no_message_has_leaves_its_text(chat: str) -> None:
    """In whatever form."""
    fields = read({"gen_ai.input.messages": CHAT, "sessiontrace.chat": chat})
    assert "hi" in str(fields["inputs"]["chat_history"])


def test_attributes_of_a_collector_are_metadata() -> None:
    """What our exporter does not write came in between."""
    fields = read({"k8s.pod.name": "p", "gen_ai.usage.input_tokens": 3})
    assert fields["metadata"] == {"k8s.pod.name": "p", "prompt_tokens": 3}


def test_a_type_that_no_event_has_is_a_chain() -> None:
    """As it is for spans of other senders."""
    assert read({"sessiontrace.event.type": ["x"]})["event_type"] == "chain"
