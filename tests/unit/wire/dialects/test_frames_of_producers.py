"""What a producer wraps around a question, a tool's call or an answer is taken off.

The attributes are those that the named packages sent, shortened.
"""

from __future__ import annotations

import json

import pytest
from support.received_spans import read, span_of

from sessiontrace.wire.dialects.control_spans import is_control
from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.span_reader import read_span

QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
}


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({"tool_name": "weather", "arguments": {"city": "Oslo"}}, {"city": "Oslo"}),  # MCP's
        ({"name": "weather", "arguments": None}, {}),
        ({"input": {"city": "Oslo"}, "options": None}, {"city": "Oslo"}),  # BeeAI's
        (
            {"input": "Oslo", "options": {"retries": 1}},
            {"input": "Oslo", "options": {"retries": 1}},
        ),
        ({"name": "Ada", "city": "Oslo"}, {"name": "Ada", "city": "Oslo"}),
    ],
)
def test_a_tool_has_the_arguments_alone(inputs: object, arguments: object) -> None:
    """Without the request that they were in; any other object is the arguments."""
    attributes = {"traceloop.span.kind": "tool", "traceloop.entity.input": json.dumps(inputs)}
    assert read(attributes).inputs == arguments


WHOLE_RESULTS = (
    "status='success' result='rain' error=None images=['a']",
    "status='failed' result=None error='no'",
    "status=rainy",
)


@pytest.mark.parametrize(
    ("output", "result"),
    [
        ("status='success' result='rain' error=None images=None", "rain"),  # Agno's
        ("content='rain' name='weather' tool_call_id='call_1'", "rain"),  # LangChain's
        ("meta=None content=[TextContent(type='text', text='rain')] isError=False", "rain"),
        ('{"content": [{"type": "text", "text": "rain"}], "isError": false}', "rain"),  # MCP's
        *[(text, text) for text in WHOLE_RESULTS],
    ],
)  # fmt: skip
def test_a_tool_has_the_result_alone(output: str, result: str) -> None:
    """Without the object around it, which Python may have shown as a text; a failure is whole."""
    fields = read({"traceloop.span.kind": "tool", "traceloop.entity.output": output})
    assert fields.outputs == {"result": result}


def test_a_call_has_the_tools_and_ids_that_only_its_request_has() -> None:
    """OpenInference's Mistral leaves them out of its attributes, which it writes last to first."""
    chat = [
        QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    fields = read(
        {
            "openinference.span.kind": "LLM",
            "llm.invocation_parameters": '{"model": "ok", "temperature": 0.5, "top_p": ""}',
            "llm.input_messages.2.message.role": "tool",
            "llm.input_messages.2.message.content": "rain",
            "llm.input_messages.1.message.role": "assistant",
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "weather",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": QUESTION["content"],
            "input.value": json.dumps({"messages": chat, "tools": [CALL]}),
            "input.mime_type": "application/json",
        }
    )
    assert fields.inputs["chat_history"][1]["tool_calls"] == [CALL]
    assert fields.inputs["chat_history"][2]["tool_call_id"] == "call_1"
    assert fields.config == {
        "model": "ok",
        "hyperparameters": {"temperature": 0.5},
        "tools": [CALL],
    }


def test_a_question_is_in_a_step_once() -> None:
    """Instructor's and BeeAI's steps have it as messages and as their argument."""
    attributes = {
        "openinference.span.kind": "CHAIN",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": QUESTION["content"],
        "input.mime_type": "application/json",
    }
    for inputs in (
        {"input": [QUESTION], "max_retries": 1},
        {"input": QUESTION["content"], "max_retries": 1},
    ):
        fields = read({**attributes, "input.value": json.dumps(inputs)})
        assert fields.inputs == {"chat_history": [QUESTION], "max_retries": 1}


def test_a_run_of_google_s_adk_is_a_question_and_an_answer() -> None:
    """By OpenInference, whose step has the arguments of the runner, and its last event."""
    message = {"role": "user", "parts": [{"text": QUESTION["content"]}]}
    event = {
        "content": {"role": "model", "parts": [{"text": "Rain."}]},
        "author": "forecaster",
        "actions": {"state_delta": {"seen": 1}, "artifact_delta": {}},
    }
    fields = read(
        {
            "openinference.span.kind": "CHAIN",
            "user.id": "ada",
            "session.id": "chat-7",
            "input.value": json.dumps(
                {
                    "user_id": "ada",
                    "session_id": "chat-7",
                    "new_message": message,
                    "run_config": None,
                }
            ),
            "output.value": json.dumps(event),
        }
    )
    assert fields.inputs == {"chat_history": [QUESTION]}
    assert fields.outputs == {"role": "assistant", "content": "Rain."}
    assert fields.metadata["actions"] == {"state_delta": {"seen": 1}}


def test_metadata_that_were_taken_apart_are_whole_again() -> None:
    """BeeAI's, an attribute for each value."""
    attributes = {
        "openinference.span.kind": "AGENT",
        "metadata.steps.0.id": "a",
        "metadata.path": "b",
    }
    metadata = read(attributes).metadata
    assert (metadata["steps"], metadata["path"]) == ([{"id": "a"}], "b")


def test_the_model_that_answered_is_the_model_of_a_call_that_states_no_other() -> None:
    """OpenLLMetry's calls of OpenAI Agents by the Responses API; also where all else is plain."""
    for other in ({}, {"gen_ai.request.temperature": 0.5}):
        answered = {"gen_ai.operation.name": "chat", "gen_ai.response.model": "ok-2026"}
        fields = read({**answered, **other})
        assert (fields.name, fields.config["model"]) == ("chat ok-2026", "ok-2026")


def test_a_crew_is_a_workflow_of_tasks() -> None:
    """OpenLLMetry's CrewAI says its question and answer, and its tokens as Python's text."""
    crew = read(
        {
            "gen_ai.operation.name": "invoke_agent",
            "crewai.crew.id": "1",
            "crewai.crew.name": "forecast",
            "crewai.crew.result": "Rain.",
            "crewai.crew.token_usage": "total_tokens=38",
            "crewai.crew.usage_metrics": "{'total_tokens': 38, 'prompt_tokens': 24, "
            "'completion_tokens': 14, 'cached_prompt_tokens': 10}",
        },
        name="crewai.workflow",
    )
    task = read(
        {
            "gen_ai.operation.name": "invoke_agent",
            "traceloop.span.kind": "task",
            "crewai.task.description": QUESTION["content"],
        }
    )
    assert (crew.type, crew.name, crew.outputs) == ("chain", "forecast", {"result": "Rain."})
    counts = {name: crew.metadata[name] for name in ("prompt_tokens", "total_tokens")}
    assert counts == {"prompt_tokens": 24, "total_tokens": 38}
    assert (task.type, task.inputs) == ("chain", {"input": QUESTION["content"]})


def test_a_frame_of_mcp_s_transport_is_no_step() -> None:
    """It carries the request or the reply of the step above it; without one it is all there is."""
    scope = "opentelemetry.instrumentation.mcp.instrumentation"
    frame = span_of({}, name="ResponseStreamWriter", scope=scope, parent_id="aae19b7ec3c1b174")
    assert is_control(frame)
    assert not is_control(span_of({}, name="ResponseStreamWriter", scope=scope))
    assert not is_control(span_of({}, name="tools/list.mcp", scope=scope, parent_id="a" * 16))


def test_what_a_processor_put_into_metadata_is_read_as_attributes() -> None:
    """OpenInference's processor of Strands; what the span says otherwise stays among them."""
    fields = read(
        {
            "openinference.span.kind": "LLM",
            "gen_ai.request.model": "ok",
            "metadata": '{"gen_ai.usage.input_tokens": 12, "gen_ai.request.model": "b", "a": 1}',
        }
    )
    assert fields.metadata["prompt_tokens"] == 12
    assert "gen_ai.usage.input_tokens" not in fields.metadata
    assert (fields.metadata["gen_ai.request.model"], fields.metadata["a"]) == ("b", 1)


def test_instructions_and_user_among_the_parameters_have_their_fields() -> None:
    """OpenInference's Anthropic for JavaScript, whose results of tools are the user's messages."""
    span = conventional(
        span_of(
            {
                "openinference.span.kind": "LLM",
                "llm.invocation_parameters": '{"system": "Be brief.", "user": "ada", "seed": 1}',
                "llm.input_messages.0.message.role": "user",
                "llm.input_messages.0.message.content": "rain",
                "llm.input_messages.0.message.tool_call_id": "call_1",
            }
        )
    )
    fields = read_span(span)
    assert fields.inputs["chat_history"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "tool", "content": "rain", "tool_call_id": "call_1"},
    ]
    assert fields.config["hyperparameters"] == {"seed": 1}
    assert span.attributes["user.id"] == "ada"


def test_an_agent_s_messages_as_python_shows_them_are_a_chat() -> None:
    """OpenInference's Haystack writes them so since Haystack 3."""
    text = "ChatMessage(_role=<ChatRole.USER: 'user'>, _content=[TextContent(text='Rain?')])"
    fields = read(
        {
            "openinference.span.kind": "AGENT",
            "input.value": json.dumps({"messages": [text]}),
            "input.mime_type": "application/json",
        }
    )
    assert fields.inputs == {"chat_history": [{"role": "user", "content": "Rain?"}]}


def test_the_result_of_a_tool_of_ag2_is_what_it_returned() -> None:
    """Not that it succeeded; smolagents' own argument is none of the tool's."""
    returned = '[true, {"name": "weather", "role": "function", "content": "rain"}]'
    fields = read(
        {
            "openinference.span.kind": "TOOL",
            "input.value": '{"city": "Oslo", "sanitize_inputs_outputs": true}',
            "output.value": returned,
            "output.mime_type": "application/json",
        }
    )
    assert (fields.inputs, fields.outputs) == ({"city": "Oslo"}, {"result": "rain"})


def test_livekit_s_words_of_people_are_inputs_and_outputs() -> None:
    """Their names have "pii" in them since LiveKit Agents 1.8."""
    turn = read(
        {
            "gen_ai.operation.name": "invoke_agent",
            "lk.agent_name": "forecaster",
            "lk.pii.user_input": "Rain?",
            "lk.pii.response.text": "Rain.",
        }
    )
    assert turn.inputs == {"input": "Rain?"}
    assert turn.outputs == {"role": "assistant", "content": "Rain."}
    tool = read(
        {
            "lk.function_tool.name": "weather",
            "lk.pii.function_tool.arguments": '{"city": "Oslo"}',
            "lk.pii.function_tool.output": "rain",
        }
    )
    assert (tool.type, tool.inputs, tool.outputs) == ("tool", {"city": "Oslo"}, {"result": "rain"})
    assert not [name for name in tool.metadata if name.startswith("lk.")]


def test_a_parameter_that_was_left_out_is_none() -> None:
    """Pipecat writes OpenAI's placeholder where the conventions have the parameter."""
    fields = read(
        {
            "gen_ai.request.model": "ok",
            "gen_ai.request.top_k": "NOT_GIVEN",
            "gen_ai.request.top_p": 0.5,
            "input": '[{"role": "user", "content": "Rain?"}]',
        }
    )
    assert fields.config["hyperparameters"] == {"top_p": 0.5}


def test_a_result_of_a_tool_without_content_is_read_from_the_request() -> None:
    """OpenInference's Bedrock for JavaScript has its text in the request alone."""
    result = {"toolUseId": "call_1", "content": [{"text": "rain"}]}
    fields = read(
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.tool_call_id": "call_1",
            "llm.stop_reason": "end_turn",
            "input.value": json.dumps(
                {"messages": [{"role": "user", "content": [{"toolResult": result}]}]}
            ),
        }
    )
    (message,) = fields.inputs["chat_history"]
    assert (message["role"], message["content"]) == ("tool", "rain")
    assert fields.metadata["finish_reason"] == "end_turn"
    assert "llm.stop_reason" not in fields.metadata


def test_a_user_that_is_unknown_is_none() -> None:
    """Guardrails and opencode write so; arguments of a guardrail are by name, as a tool's are."""
    fields = read(
        {
            "openinference.span.kind": "GUARDRAIL",
            "user.id": "unknown",
            "input.value": '{"args": [], "kwargs": {"value": "Rain."}}',
        }
    )
    assert fields.user_properties == {}
    assert fields.inputs == {"value": "Rain."}
