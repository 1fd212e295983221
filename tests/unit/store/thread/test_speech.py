"""What the inputs and outputs of a step say, whatever its framework calls them."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.store.thread.speech import speech_of

QUESTION = {"role": "user", "content": "Rain?"}
ANSWER = {"role": "assistant", "content": "Yes."}
_BLOCKS = {"role": "assistant", "blocks": [{"block_type": "text", "text": "Yes."}]}


def speech(outputs: Any, **inputs: Any) -> Any:
    return speech_of({"event_type": "chain", "inputs": inputs, "outputs": outputs})


@pytest.mark.parametrize(
    "outputs",
    [
        {"result": {"response": _BLOCKS, "structured_response": None, "tool_calls": []}},
        {"response": _BLOCKS, "tool_calls": [], "raw": {}},
        {"llm": {"replies": ["Yes."]}},
        {"replies": [{"role": "assistant", "content": [{"text": "Yes."}]}], "meta": {}},
        {"output": ANSWER, "usage": {"input_tokens": 3}},
        {"output": {"message": {"role": "assistant", "content": [{"text": "Yes."}]}}, "stop": 1},
        {"output": {"response": "Yes."}},
    ],
    ids=[
        "LlamaIndex's result", "LlamaIndex's output", "a pipeline's component",
        "Haystack's replies", "a message", "Bedrock's reply", "a text",
    ],
)  # fmt: skip
def test_an_answer_is_read_within_what_holds_it(outputs: dict[str, Any]):
    """A turn's outputs are a framework's own objects; the answer is deep inside."""
    (answer,) = speech(outputs, question="Rain?").answers
    assert answer["role"] == "assistant"
    assert answer["content"] in ("Yes.", [{"type": "text", "text": "Yes."}], [{"text": "Yes."}])


def test_the_state_of_a_graph_s_node_is_a_chat():
    """A node returns its changes under its own name."""
    assert speech({"agent": {"messages": [QUESTION, ANSWER]}}).whole_chat == [QUESTION, ANSWER]


def test_a_step_that_hands_the_question_on_has_not_answered():
    """LlamaIndex's first step returns the agent's input; the answer is in another step."""
    handed_on = speech({"input": [QUESTION], "current_agent_name": "forecaster"})
    assert (handed_on.is_given, handed_on.is_answered) == (True, False)
    assert handed_on.chat == [QUESTION]
    again = speech(
        {"messages": [QUESTION, ANSWER, QUESTION]}, messages=[QUESTION, ANSWER, QUESTION]
    )
    assert not again.is_answered


@pytest.mark.parametrize(
    "outputs",
    [{"documents": [{"content": "Rain falls."}]}, {"result": ["Rain falls."]}, {"result": {"n": 3}},
     {"message": QUESTION}, {"result": "StopEvent(result=AgentOutput(response=ChatMessage(role=<"}],
    ids=["documents", "texts", "an object", "a user's message", "an object that is shown"],
)  # fmt: skip
def test_other_outputs_are_no_answer(outputs: dict[str, Any]):
    """What a search returns is not what the application said."""
    assert not speech(outputs, query="Rain?").is_answered
