"""The views of a model call that every vendor needs, from the shapes that libraries use."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.wire import model_call

SAID = {"role": "assistant", "content": "so"}


def test_items_of_the_responses_api_become_messages() -> None:
    """A function call is the assistant's, its output the tool's."""
    history = [
        {"role": "user", "content": [{"type": "input_text", "text": "why?"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
    ]
    messages = model_call.messages({"inputs": {"chat_history": history}})
    assert messages is not None
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert [model_call.parts(message)["parts"] for message in messages] == [
        [{"type": "text", "content": "why?"}],
        [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}],
        [{"type": "tool_call_response", "response": "42", "id": "c1"}],
    ]


def test_anthropics_blocks_become_parts() -> None:
    """tool_use and tool_result within the content, and what was thought beside it."""
    message = {
        "role": "assistant",
        "reasoning": "hm",
        "content": [
            {"type": "text", "text": "so"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            {"type": "tool_result", "tool_use_id": "t1", "content": "42"},
            {"type": "image", "source": {"type": "url", "url": "http://x"}},
        ],
    }
    assert model_call.parts(message) == {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "hm"},
            {"type": "text", "content": "so"},
            {"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": 1}},
            {"type": "tool_call_response", "id": "t1", "response": "42"},
            {"type": "uri", "modality": "image", "uri": "http://x"},
        ],
    }


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (SAID, ["so"]),
        ({"choices": [SAID, {"message": {"role": "assistant", "content": "b"}}]}, ["so", "b"]),
        ({"result": "so"}, ["so"]),
        ({"text": "so"}, ["so"]),
        ({"result": {"a": 1}}, ['{"result":{"a":1}}']),
        ({"choices": []}, ['{"choices":[]}']),
        ({}, []),
        (None, []),
    ],
)
def test_whatever_a_model_gave_there_is_a_message_to_show(outputs: Any, said: list[str]) -> None:
    """Messages as they are, anything else as one of the assistant's."""
    choices = model_call.choices_of({"outputs": outputs})
    assert [choice["content"] for choice in choices] == said


def test_inputs_that_are_no_chat_become_one_message() -> None:
    """A decorated function's arguments."""
    assert model_call.messages({"inputs": {"question": "why?"}}) is None
    assert model_call.messages_of({"inputs": {"question": "why?"}}) == [
        {"role": "user", "content": '{"question":"why?"}'}
    ]
    assert model_call.messages_of({"inputs": {}}) == []


def test_arguments_that_broke_off_stay_a_text() -> None:
    """A stream ended in the middle of its JSON."""
    call = {"id": "c1", "function": {"name": "f", "arguments": '{"a": '}}
    (part,) = model_call.parts({"role": "assistant", "content": None, "tool_calls": [call]})[
        "parts"
    ]
    assert part == {"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a": '}


@pytest.mark.parametrize(
    ("call_type", "operation"),
    [
        ("chat", "chat"),
        ("text_completion", "text_completion"),
        ("embeddings", "embeddings"),
        ("images", "generate_content"),
        ("speech", "generate_content"),
        ("rerank", "rerank"),
        ("anything", "chat"),
        (7, "chat"),
    ],
)
def test_the_operation_of_a_call_follows_from_its_type(call_type: Any, operation: str) -> None:
    """A call for a picture or a ranking is no chat; backends group by the operation."""
    event = {"event_type": "model", "config": {"type": call_type}}
    assert model_call.operation(event) == operation
