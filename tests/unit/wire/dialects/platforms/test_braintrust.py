"""Spans for Braintrust are steps with chats, tokens, scores, session and user."""

from __future__ import annotations

import json

from support.received_spans import translated

from sessiontrace.wire.session_facts import session_facts
from sessiontrace.wire.span_reader import read_span

QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}


def test_a_call_has_its_chat_model_counts_and_scores() -> None:
    """Objects may be JSON, or an attribute for each entry."""
    span = translated(
        {
            "braintrust.span_attributes": '{"type": "llm"}',
            "braintrust.input_json": json.dumps([QUESTION]),
            "braintrust.output_json": '[{"role": "assistant", "content": "Rain."}]',
            "braintrust.metadata": '{"model": "ok", "temperature": 0.5}',
            "braintrust.metrics.prompt_tokens": 12,
            "braintrust.metrics.completion_tokens": 7,
            "braintrust.scores": '{"right": 1}',
            "braintrust.expected": "Rain",
        }
    )
    fields = read_span(span)
    assert (fields.type, fields.name) == ("model", "chat ok")
    assert fields.inputs == {"chat_history": [QUESTION]}
    assert fields.outputs == {"role": "assistant", "content": "Rain."}
    assert fields.config == {"model": "ok", "hyperparameters": {"temperature": 0.5}}
    counts = [fields.metadata[f"{part}_tokens"] for part in ("prompt", "completion", "total")]
    assert counts == [12, 7, 19]
    assert (fields.metrics, fields.feedback) == ({"right": 1}, {"ground_truth": "Rain"})


def test_a_step_names_its_session_user_and_tags() -> None:
    """What else its metadata say stays among them."""
    span = translated(
        {
            "braintrust.input": json.dumps([QUESTION]),
            "braintrust.output": '"Rain."',
            "braintrust.metadata": '{"session_id": "chat-7", "user_id": "ada", "plan": "pro"}',
            "braintrust.tags": ["beta"],
        }
    )
    fields = read_span(span)
    assert (fields.type, fields.outputs) == ("chain", {"result": "Rain."})
    assert (fields.metadata["plan"], fields.metadata["tags"]) == ("pro", ["beta"])
    assert session_facts(span.attributes, {}) == ("chat-7", None, "ada")
