"""Spans that DeepEval wrote for Confident AI are steps with chats, tokens, session and user."""

from __future__ import annotations

import pytest
from support.received_spans import translated

from sessiontrace.wire.session_facts import session_facts
from sessiontrace.wire.span_reader import read_span


def test_a_call_has_its_chat_model_and_counts() -> None:
    """The trace's own attributes are the session's."""
    span = translated(
        {
            "confident.span.type": "llm",
            "confident.llm.model": "ok",
            "confident.llm.input_token_count": 12,
            "confident.llm.output_token_count": 7,
            "confident.span.input": '[{"role": "user", "content": "Rain?"}]',
            "confident.span.output": "Rain.",
            "confident.trace.name": "forecast",
            "confident.trace.thread_id": "chat-7",
            "confident.trace.user_id": "ada",
            "confident.trace.tags": ["beta"],
            "confident.trace.metadata": '{"plan": "pro"}',
        }
    )
    fields = read_span(span)
    assert (fields.type, fields.name, fields.metadata["total_tokens"]) == ("model", "chat ok", 19)
    assert fields.inputs == {"chat_history": [{"role": "user", "content": "Rain?"}]}
    assert fields.outputs == {"role": "assistant", "content": "Rain."}
    assert (fields.metadata["plan"], fields.metadata["tags"]) == ("pro", ["beta"])
    assert not [name for name in fields.metadata if name.startswith("confident")]
    assert session_facts(span.attributes, {}) == ("chat-7", "forecast", "ada")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("agent", "agent"), ("tool", "tool"), ("retriever", "retriever"), ("custom", "chain")],
)
def test_each_step_is_of_its_kind(kind: str, expected: str) -> None:
    """A tool has its own name, and all others that of their span."""
    fields = read_span(translated({"confident.span.type": kind, "confident.span.name": "step"}))
    assert (fields.type, fields.name) == (expected, "step")
