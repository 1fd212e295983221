"""What frameworks wrap the values of tools and steps in is taken off, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.span_reader import SpanFields, read_span


def read(attributes: dict[str, Any], scope: str = "any") -> SpanFields:
    plain = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in attributes.items()
    }
    ids = ("1" * 32, "2" * 16, None)
    span = ReceivedSpan(*ids, "step", 1, 2, plain, {}, scope, False, "", [], [])
    return read_span(conventional(span))


TOOL = {"traceloop.span.kind": "tool", "traceloop.entity.name": "weather"}
MESSAGE = {
    "content": "rain", "type": "tool", "name": "weather", "tool_call_id": "c1",
    "additional_kwargs": {}, "response_metadata": {}, "status": "success", "artifact": None,
}  # fmt: skip
CONSTRUCTOR = {
    "lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "ToolMessage"],
    "kwargs": MESSAGE,
}  # fmt: skip
OUTPUT = {
    "blocks": [{"text": "rain"}], "tool_name": "weather", "raw_input": {}, "raw_output": "rain",
    "is_error": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "output",
    [MESSAGE, CONSTRUCTOR, {"output": CONSTRUCTOR}, OUTPUT, "rain"],
    ids=["message", "constructor", "callback", "LlamaIndex", "plain"],
)
def test_a_tool_s_result_is_what_it_returned(output: Any) -> None:
    """Of any recorder; the call's id goes where the others are."""
    read_tool = read({**TOOL, "traceloop.entity.output": output})
    assert read_tool.outputs == {"result": "rain"}
    if "tool_call_id" in json.dumps(output):
        assert read_tool.metadata["tool_call_id"] == "c1"


@pytest.mark.parametrize(
    "output",
    [{**MESSAGE, "status": "error"}, {**MESSAGE, "artifact": {"rows": 3}},
     {**OUTPUT, "is_error": True}, {"content": "rain", "place": "Oslo"}],
    ids=["failed", "with an artifact", "failed in LlamaIndex", "of its own"],
)  # fmt: skip
def test_a_result_that_says_more_stays_whole(output: dict[str, Any]) -> None:
    """A tool may return an object of the same names."""
    assert read({**TOOL, "traceloop.entity.output": output}).outputs == output


@pytest.mark.parametrize(
    "given",
    [{"city": "Oslo"}, {"kwargs": {"city": "Oslo"}}, {"args": [], "kwargs": {"city": "Oslo"}},
     {"input_str": "{'city': 'Oslo'}", "tags": ["t"], "metadata": {"node": "n"}},
     {"input_str": "?", "inputs": {"city": "Oslo"}, "tags": [], "kwargs": {"color": "green"}}],
    ids=["plain", "by name", "of a function", "callback with a text", "callback"],
)  # fmt: skip
def test_a_tool_s_arguments_are_those_of_its_function(given: dict[str, Any]) -> None:
    """What a callback says of its run is in the metadata."""
    read_tool = read({**TOOL, "traceloop.entity.input": given})
    assert read_tool.inputs == {"city": "Oslo"}
    if "metadata" in given:
        assert (read_tool.metadata["node"], read_tool.metadata["run_tags"]) == ("n", ["t"])
    if "color" in str(given):
        assert read_tool.metadata["run"] == {"color": "green"}


def test_the_state_of_a_graph_has_its_messages_as_a_chat() -> None:
    """LangChain's messages and LangGraph's commands, in any tracer's span of a step."""
    human = {"content": "Hi", "type": "human", "additional_kwargs": {}, "id": "m1"}
    step = read(
        {
            "traceloop.span.kind": "task",
            "traceloop.entity.input": {"inputs": {"messages": [human], "turn": 1}, "tags": ["x"]},
            "traceloop.entity.output": [{"graph": None, "update": {"messages": [MESSAGE]}}],
        }
    )
    chat = [{"role": "user", "content": "Hi", "id": "m1"}]
    assert step.inputs == {"messages": chat, "turn": 1}
    assert step.outputs is not None
    assert step.outputs["messages"][0]["role"] == "tool"


def test_a_decorated_function_of_openlit_has_inputs_and_a_result() -> None:
    """Its arguments are a text of Python, its result is where messages should be."""
    step = read(
        {
            "function.args": "('Hi',)", "function.kwargs": "{}",
            "gen_ai.output.messages": "Hello",
        },
        scope="openlit",
    )  # fmt: skip
    assert (step.inputs, step.outputs) == ({"input": "Hi"}, {"result": "Hello"})


def test_instructions_beside_a_chat_that_begins_with_them_are_one_message() -> None:
    """OpenLIT writes them twice; other instructions stay apart."""
    said = [{"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}]
    for instructions, count in (("Be brief.", 1), ("Be kind.", 2)):
        step = read(
            {
                "gen_ai.operation.name": "chat", "gen_ai.input.messages": said,
                "gen_ai.system_instructions": [{"type": "text", "content": instructions}],
            }
        )  # fmt: skip
        assert len(step.inputs["chat_history"]) == count


def test_a_text_in_place_of_messages_is_one() -> None:
    """Of the user where it went in, of the assistant where it came out."""
    step = read(
        {"gen_ai.operation.name": "chat", "gen_ai.input.messages": "Hi",
         "gen_ai.output.messages": "Hello"}
    )  # fmt: skip
    assert step.inputs["chat_history"] == [{"role": "user", "content": "Hi"}]
    assert step.outputs == {"role": "assistant", "content": "Hello"}


def test_mastra_s_steps_have_their_messages_session_and_user() -> None:
    """Below the name of the span's type; what else a call returned is in the metadata."""
    step = read(
        {
            "mastra.span.type": "model_step", "gen_ai.operation.name": "agent_step",
            "mastra.model_step.input": [{"role": "user", "content": "Hi"}],
            "mastra.model_step.output": {"text": "", "files": [], "usage": {"n": 1}, "toolCalls": [
                {"toolCallId": "c1", "toolName": "weather", "args": {"city": "Oslo"}}]},
            "mastra.metadata.threadId": "chat-7", "mastra.metadata.resourceId": "ada",
            "mastra.metadata.runId": "r1",
        }
    )  # fmt: skip
    assert step.inputs["chat_history"] == [{"role": "user", "content": "Hi"}]
    assert step.outputs is not None
    assert step.outputs["tool_calls"][0]["function"] == {
        "name": "weather", "arguments": {"city": "Oslo"},
    }  # fmt: skip
    assert step.user_properties == {"user_id": "ada"}
    assert (step.metadata["mastra"], step.metadata["returned"]) == (
        {"runId": "r1"}, {"usage": {"n": 1}},
    )  # fmt: skip
