"""Which of several producers' names counts, and what becomes of attributes that no rule reads.

What real packages send is tested with their recordings, in ``tests/contract/test_producers.py``.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.received_spans import read, span_of

from sessiontrace.wire.dialects.control_spans import is_control
from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.session_facts import session_facts
from sessiontrace.wire.span_reader import read_span

Attributes = dict[str, Any]


def test_the_conventions_win_over_a_producer_s_own_names() -> None:
    """A span of Vercel has its counts in both; what differs stays, under its own name."""
    fields = read(
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "gpt-5",
            "gen_ai.request.model": "gpt-5",
            "ai.usage.inputTokens": 12,
            "gen_ai.usage.input_tokens": 13,
        }
    )
    assert fields.config["model"] == "gpt-5"
    assert fields.metadata["prompt_tokens"] == 13
    assert fields.metadata["ai.usage.inputTokens"] == 12
    assert "ai.model.id" not in fields.metadata


def test_attributes_win_over_the_messages_in_events() -> None:
    """Both at once is what a span has after an upgrade of half of its instrumentation."""
    chat = '[{"role": "user", "parts": [{"type": "text", "content": "now"}]}]'
    fields = read(
        {"gen_ai.operation.name": "chat", "gen_ai.input.messages": chat},
        events=[("gen_ai.user.message", {"content": "before"})],
    )
    assert fields.inputs == {"chat_history": [{"role": "user", "content": "now"}]}


def test_another_library_s_span_keeps_its_kind_in_langfuse_s_processor() -> None:
    """Langfuse's processor writes the trace's attributes on all spans that pass through it."""
    span = conventional(
        span_of(
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "weather",
                "langfuse.observation.type": "span",
                "langfuse.trace.name": "forecast",
                "langfuse.trace.tags": ["beta"],
                "langfuse.session.id": "chat-7",
                "langfuse.user.id": "ada",
            }
        )
    )
    fields = read_span(span)
    assert (fields.type, fields.name, fields.metadata["tags"]) == ("tool", "weather", ["beta"])
    assert session_facts(span.attributes, {}) == ("chat-7", "forecast", "ada")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}, (12, 7)),
        ({"input": 7, "output": 4, "input_cached_tokens": 5, "output_reasoning_tokens": 3,
          "total": 19}, (12, 7)),
        ({"input": 12, "output": 7, "input_cached_tokens": 5, "total": 19}, (12, 7)),
        ({"input_tokens": 10, "output_tokens": 7, "cache_read_input_tokens": 5,
          "cache_creation_input_tokens": 2}, (17, 7)),
        ({"input_tokens": 12, "output_tokens": 7, "cache_read_input_tokens": 5,
          "total_tokens": 19}, (12, 7)),
    ],
)  # fmt: skip
def test_cached_and_reasoning_tokens_are_counted_once(
    usage: dict[str, int], expected: tuple[int, int]
) -> None:
    """Some usage objects count them within the input and the output, others beside."""
    fields = read(
        {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": usage}
    )
    counted = (fields.metadata["prompt_tokens"], fields.metadata["completion_tokens"])
    assert counted == expected


def test_a_scrubbed_session_is_not_a_session() -> None:
    """Logfire takes the word "session" for a secret; all sessions would be the same one."""
    scrubbed = "[Scrubbed due to 'session']"
    span = conventional(
        span_of(
            {
                "logfire.msg": "chat",
                "session.id": scrubbed,
                "gen_ai.conversation.id": "chat-7",
            }
        )
    )
    assert session_facts(span.attributes, {}).reference == "chat-7"


def test_attributes_that_no_rule_reads_stay_whole() -> None:
    """Under their own names, next to those that a rule has read."""
    unknown = {"ai.settings.maxRetries": 2, "langfuse.environment": "prod", "mlflow.new": "[1]"}
    fields = read({**unknown, "langfuse.observation.type": "span"})
    assert {name: fields.metadata.get(name) for name in unknown} == unknown


CHAT = [{"role": "user", "content": "Hello?"}]
ANSWER = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"n": 1}}}
    ],
}


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "genkit:name": "m-1", "genkit:type": "action", "genkit:metadata:subtype": "model",
            "genkit:input": '{"messages": [{"role": "user", "content": [{"text": "Hello?"}]}],'
            ' "config": {"temperature": 0.5}}',
            "genkit:output": '{"message": {"role": "model", "content": [{"toolRequest": {"name":'
            ' "weather", "ref": "c1", "input": {"n": 1}}}]}, "usage": {"inputTokens": 12,'
            ' "outputTokens": 7}}',
        },
        {
            "gen_ai.request.model": "m-1", "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 7, "gen_ai.request.temperature": 0.5,
            "lk.chat_ctx": '{"items": [{"type": "message", "role": "user", "content":'
            ' ["Hello?"]}]}',
            "lk.response.function_calls": '[{"call_id": "c1", "name": "weather", "arguments":'
            ' {"n": 1}}]',
        },
        {
            "gen_ai.request.model": "m-1", "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 7, "gen_ai.request.temperature": 0.5,
            "input": '[{"role": "user", "content": "Hello?"}]',
            "output": '[{"role": "assistant", "tool_calls": [{"id": "c1", "function":'
            ' {"name": "weather", "arguments": {"n": 1}}}]}]',
        },
        {
            "ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "m-1",
            "ai.settings.temperature": 0.5, "ai.usage.promptTokens": 12,
            "ai.usage.completionTokens": 7,
            "ai.prompt.messages": '[{"role": "user", "content": [{"type": "text", "text":'
            ' "Hello?"}]}]',
            "ai.result.toolCalls": '[{"toolCallId": "c1", "toolName": "weather", "args":'
            ' {"n": 1}}]',
        },
        {
            "gcp.vertex.agent.llm_request": '{"model": "m-1", "config": {"temperature": 0.5},'
            ' "contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]}',
            "gcp.vertex.agent.llm_response": '{"content": {"role": "model", "parts":'
            ' [{"function_call": {"id": "c1", "name": "weather", "args": {"n": 1}}}]},'
            ' "usage_metadata": {"prompt_token_count": 12, "candidates_token_count": 7}}',
        },
        {
            "request_data": '{"model": "m-1", "temperature": 0.5, "messages": [{"role": "user",'
            ' "content": "Hello?"}]}',
            "response_data": '{"message": {"role": "assistant", "tool_calls": [{"id": "c1",'
            ' "function": {"name": "weather", "arguments": {"n": 1}}}]}, "usage":'
            ' {"prompt_tokens": 12, "completion_tokens": 7}}',
            "logfire.msg": "Chat Completion",
        },
    ],
    ids=["genkit", "livekit", "pipecat", "vercel-3", "adk-1", "logfire-2"],
)  # fmt: skip
def test_producers_and_versions_that_are_not_installed_here(attributes: Attributes) -> None:
    """By the names in their sources: a model's chat, call of a tool, counts and a parameter."""
    fields = read(attributes)
    assert fields.type == "model"
    assert fields.inputs == {"chat_history": CHAT}
    assert fields.outputs == ANSWER
    assert (fields.metadata["prompt_tokens"], fields.metadata["completion_tokens"]) == (12, 7)
    assert fields.config["model"] == "m-1"
    assert fields.config["hyperparameters"]["temperature"] == 0.5


NAMES = (
    "gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt",
    "gen_ai.completion", "openinference.span.kind", "input.value", "output.value", "metadata",
    "llm.invocation_parameters", "llm.tools.0.tool.json_schema", "llm.tools.x", "llm.model_name",
    "embedding.embeddings.0", "traceloop.association.properties.session_id",
    "traceloop.entity.input", "llm.request.functions.0.parameters", "ai.operationId",
    "ai.prompt.messages", "ai.prompt.tools", "ai.response.toolCalls", "ai.response.msToFirstChunk",
    "ai.values", "ai.telemetry.metadata.userId", "langfuse.observation.type",
    "langfuse.observation.input", "langfuse.observation.output",
    "langfuse.observation.usage_details", "langfuse.observation.cost_details",
    "langfuse.observation.completion_start_time", "mlflow.spanType", "mlflow.spanInputs",
    "mlflow.chat.tokenUsage", "langsmith.span.kind", "langsmith.span.tags",
    "langsmith.metadata.usage_metadata", "logfire.msg", "events", "pydantic_ai.all_messages",
    "request_data", "response_data", "gcp.vertex.agent.llm_request", "haystack.component.type",
    "haystack.agent.step.llm.output", "hidden_params", "metadata.x", "input_tokens", "error",
    "gen_ai.response.finish_reason", "gen_ai.tool.call.result", "input", "genkit:input",
    "genkit:output", "genkit:metadata:subtype", "lk.chat_ctx", "lk.response.function_calls",
    "lk.pii.chat_ctx", "metadata.steps.0.id", "metadata.steps", "crewai.crew.id",
    "crewai.crew.usage_metrics", "crewai.task.description", "tool.parameters", "gen_ai.output.type",
    "gen_ai.request.stop_sequences", "gen_ai.input.messages.0.message.role", "span.type",
    "llm.messages", "llm.usage.prompt_tokens", "usage.total_tokens", "braintrust.input_json",
    "braintrust.metadata", "braintrust.metrics", "braintrust.scores", "braintrust.span_attributes",
    "confident.span.type", "confident.span.input", "confident.trace.metadata", "langwatch.input",
    "langwatch.span.type", "agentops.span.kind", "agentops.tool.input", "lmnr.span.output",
    "lmnr.association.properties.metadata.x", "request_text", "response_text", "body", "response",
    "total_token_count", "tool_call.function.arguments", "gen_ai.response.model", "output",
)  # fmt: skip
VALUES = (
    None, "", 0, 1.5, True, [], {}, "text", "null", '"q"', "[1]", "[[{}]]", [{"a": 1}], "LLM",
    "chat", "generation", '{"messages": [{"role": 1}]}', '[{"role": "user", "content": [1, null]}]',
    '[{"role": {}, "type": []}]', '[{"role": "user", "content": [{"type": {}, "toolUse": 1}]}]',
    '{"choices": [{"finish_reason": {}, "message": {"role": "x", "content": {}}}]}',
    '{"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}',
    '{"output": [{"type": "function_call"}]}', '{"args": 1, "kwargs": 2}', "[" * 40 + "]" * 40,
    '{"input_tokens": 1e300, "cache_read_input_tokens": true}',
    '[{"role": "user", "tool_calls": [1, {"function": 1}]}]', "2026-01-01T00:00:00Z",
    '[{"role": "tool", "parts": [{"type": "tool_call_response", "result": [{"text": "a"}]}]}]',
    "status='success' result=[1] error=None", "content='a' tool_call_id={1: 2}",
    "ChatMessage(_role=",
    '["ChatMessage(_role=<A.B: 1>, _content=[1, C(d=2)])"]', "[true, {}]", "[true, [1]]",
    '{"content": {"parts": [1]}, "author": 1, "actions": []}', '{"new_message": {"parts": 1}}',
    '{"content": [1], "isError": false}', '{"type": 1, "value": [{"role": "user"}]}',
    '{"system": [1], "user": {}, "kwargs": {"tools": 1}, "gen_ai.request.model": []}', "NOT_GIVEN",
    '[{"message": {"role": []}, "finish_reason": {}}]', '{"input": {"a": 1}, "options": null}',
)  # fmt: skip
EVENTS = ("gen_ai.user.message", "gen_ai.choice", "gen_ai.client.inference.operation.details", "x")


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=8),
    st.lists(
        st.tuples(
            st.sampled_from(EVENTS),
            st.dictionaries(
                st.sampled_from(("content", "message", "body", "gen_ai.input.messages")),
                st.sampled_from(VALUES),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
    st.sampled_from(("span", "codex.sse_event", "claude_code.tool", "gemini_cli.api_response")),
    st.sampled_from(("", "traceai_openai", "@voltagent/core", "openlit", "gemini-cli", "autogen")),
)
@settings(max_examples=150, deadline=None)
def test_no_value_raises(
    attributes: Attributes, events: list[tuple[str, Attributes]], name: str, scope: str
) -> None:
    """Values of any type and shape, in any attribute; the event's fields stay objects."""
    span = conventional(span_of(attributes, name=name, scope=scope, events=events))
    facts = session_facts(span.attributes, span.resource)
    fields = read_span(span)
    assert all(fact is None or isinstance(fact, str) for fact in facts)
    assert isinstance(fields.inputs, dict)
    assert isinstance(fields.outputs, (dict, type(None)))


def test_definitions_of_tools_among_the_messages_are_tools() -> None:
    """Langfuse's handler of LangChain appends them to the chat with the role of a tool's answer."""
    definition = {"type": "function", "function": {"name": "weather", "description": "d"}}
    question = {"role": "user", "content": "Why?"}
    answer = {"role": "tool", "content": {"name": "weather", "description": "a result"}}
    chat = [question, {**answer, "tool_call_id": "c1"}, {"role": "tool", "content": definition}]
    fields = read(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.input": json.dumps(chat),
            "langfuse.internal.is_app_root": True,
        }
    )
    assert fields.config["tools"] == [definition]
    assert [message["role"] for message in fields.inputs["chat_history"]] == ["user", "tool"]
    assert "langfuse.internal.is_app_root" not in fields.metadata


def test_the_arguments_of_a_decorated_model_call_are_its_chat() -> None:
    """``@observe(as_type="generation")`` records a function's arguments, its chat among them."""
    question = {"role": "user", "content": "Why?"}
    fields = read(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.input": json.dumps({"args": [[question]], "kwargs": {}}),
        }
    )
    assert fields.inputs == {"chat_history": [question]}


LANGCHAIN_JS = {"lc": 1, "type": "constructor"}


def langchain_js(kind: str, **fields: Any) -> dict[str, Any]:
    return {**LANGCHAIN_JS, "id": ["langchain_core", "messages", kind], "kwargs": fields}


def test_langchain_js_has_its_messages_as_constructors_anywhere_in_a_step() -> None:
    """In commands and in what is sent to another node, too."""
    answer = langchain_js("AIMessage", content="Hello", additional_kwargs={})
    command = {"lg_name": "Command", "update": {"messages": [answer]}, "goto": []}
    sent = {"lg_name": "Send", "node": "tools", "args": {"messages": [answer]}}
    plain = {"role": "assistant", "content": "Hello"}

    def outputs(value: Any) -> Any:
        attributes = {"openinference.span.kind": "CHAIN", "output.value": json.dumps(value)}
        return read(attributes).outputs

    assert outputs({"output": [command]}) == {"messages": [plain]}
    assert outputs({"output": [sent]})["output"][0]["args"] == {"messages": [plain]}


def test_a_tool_of_langchain_js_returned_what_its_message_says() -> None:
    """The versions of its packages are no part of the result."""
    versions = {"versions": {"@langchain/core": "1.4.0"}}
    message = langchain_js(
        "ToolMessage", content="rain", tool_call_id="call_1", name="weather", metadata=versions
    )
    fields = read(
        {
            "openinference.span.kind": "TOOL",
            "tool_call.id": "call_1",
            "output.value": json.dumps({"output": message}),
        }
    )
    assert fields.outputs == {"result": "rain"}
    assert fields.metadata["tool_call_id"] == "call_1"
    assert "tool_call.id" not in fields.metadata


def test_messages_that_lack_a_part_are_read_from_the_whole_input() -> None:
    """OpenInference for JavaScript leaves out the instructions and the ids of tools' calls."""
    call = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1", "type": "tool_call"}
    chat = [
        langchain_js("SystemMessage", content=[{"type": "text", "text": "Be brief."}]),
        langchain_js("AIMessage", content="", tool_calls=[call]),
    ]
    prefix = "llm.input_messages"
    attributes = {
        "openinference.span.kind": "LLM",
        "input.value": json.dumps({"messages": [chat]}),
        f"{prefix}.0.message.role": "system",
        f"{prefix}.1.message.role": "assistant",
        f"{prefix}.1.message.tool_calls.0.tool_call.function.name": "weather",
    }
    instructions, request = read(attributes).inputs["chat_history"]
    assert instructions == {"role": "system", "content": "Be brief."}
    assert request["tool_calls"][0]["id"] == "call_1"


def test_an_object_s_address_is_no_answer() -> None:
    """OpenInference's instrumentation of Groq records a stream that was not read yet."""
    text = "<groq.Stream object at 0x7f1c26a2be10>"
    assert not read({"openinference.span.kind": "LLM", "output.value": text}).outputs


def test_pydantic_ai_counts_instructions_and_question_as_one_message() -> None:
    """The second run of a conversation was given the chat up to its own question."""
    history = [
        {"role": role, "parts": [{"type": "text", "content": text}]}
        for role, text in (
            ("system", "Be brief."), ("user", "Oslo?"), ("assistant", "Rain."),
            ("user", "Bergen?"), ("assistant", "Rain, too."),
        )
    ]  # fmt: skip
    fields = read(
        {
            "gen_ai.operation.name": "invoke_agent",
            "pydantic_ai.all_messages": json.dumps(history),
            "pydantic_ai.new_message_index": 2,
        }
    )
    assert fields.inputs["chat_history"][-1] == {"role": "user", "content": "Bergen?"}
    assert fields.outputs == {"role": "assistant", "content": "Rain, too."}


def test_a_producer_s_message_has_no_empty_name_and_its_thoughts_apart() -> None:
    """Google's SDK has a name of null; Logfire has Anthropic's parts as they were."""
    thinking = {"type": "thinking", "thinking": "Let me see", "signature": "s"}
    parts = [thinking, {"type": "text", "content": "Hello"}]
    answer = {"role": "assistant", "name": None, "parts": parts}
    fields = read({"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps([answer])})
    assert fields.outputs == {"role": "assistant", "content": "Hello", "reasoning": "Let me see"}


def test_openllmetry_s_newest_spans_are_known_by_their_scope() -> None:
    """Their names are the conventions' but for a few."""
    fields = read(
        {"gen_ai.operation.name": "chat", "gen_ai.is_streaming": True},
        scope="opentelemetry.instrumentation.groq",
    )
    assert fields.config["hyperparameters"]["stream"] is True
    assert "gen_ai.is_streaming" not in fields.metadata


def test_vercel_s_bytes_are_base64() -> None:
    """A picture in a prompt is a list of numbers, from a buffer or an array."""
    numbers = {"0": 71, "1": 73, "2": 70}
    for picture in ({"type": "Buffer", "data": [71, 73, 70]}, numbers):
        content = [{"type": "image", "image": picture}]
        prompt = {"messages": [{"role": "user", "content": content}]}
        fields = read(
            {"ai.operationId": "ai.generateText.doGenerate", "ai.prompt": json.dumps(prompt)}
        )
        assert fields.inputs["chat_history"][0]["content"] == [{"type": "image", "image": "R0lG"}]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (
            "ResponseFunctionToolCall(arguments='{\"city\":\"Oslo\"}', call_id='c1', "
            "name='weather', type='function_call', id='fc_1', async_=None)",
            '{"city":"Oslo"}',
        ),
        ("ToolUseBlock(id='c1', input={'city': 'Oslo'}, name='weather')", {"city": "Oslo"}),
    ],
)
def test_an_sdk_s_object_shown_as_python_does_is_a_tool_s_call(text: str, arguments: Any) -> None:
    """OpenTelemetry's instrumentation of OpenAI Agents and Logfire's of Anthropic write them."""
    answer = {"role": "assistant", "parts": [{"type": "text", "content": text}]}
    broken = {"role": "assistant", "parts": [{"type": "text", "content": text[:-2]}]}

    def outputs(message: dict[str, Any]) -> Any:
        messages = json.dumps([message])
        return read({"gen_ai.operation.name": "chat", "gen_ai.output.messages": messages}).outputs

    (call,) = outputs(answer)["tool_calls"]
    assert call["id"] == "c1"
    assert call["function"] == {"name": "weather", "arguments": arguments}
    assert outputs(broken)["content"] == text[:-2]


def test_a_tool_of_llama_index_is_a_tool_by_what_it_returned() -> None:
    """OpenLLMetry's instrumentation has it as a task, and the model that was not stated as null."""
    output = {
        "tool_name": "weather",
        "raw_input": {"args": [], "kwargs": {"city": "Oslo"}},
        "raw_output": "rain",
        "is_error": False,
        "blocks": [{"block_type": "text", "text": "rain"}],
    }
    fields = read(
        {
            "traceloop.span.kind": "task",
            "traceloop.entity.name": "FunctionTool",
            "traceloop.entity.input": json.dumps({"args": [], "kwargs": {"city": "Oslo"}}),
            "traceloop.entity.output": json.dumps(output),
        }
    )
    assert (fields.type, fields.name) == ("tool", "weather")
    assert (fields.inputs, fields.outputs) == ({"city": "Oslo"}, {"result": "rain"})
    call = read(
        {
            "traceloop.span.kind": "task",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": None,
            "gen_ai.response.model": "gpt-5",
        }
    )
    assert call.config["model"] == "gpt-5"
    assert "gen_ai.request.model" not in call.metadata


def test_llama_index_s_messages_are_in_blocks() -> None:
    """Texts and calls of tools, whose copy is among the additional keywords."""
    block = {"block_type": "tool_call", "tool_call_id": "c1", "tool_name": "weather"}
    messages = [
        {
            "role": "user",
            "additional_kwargs": {},
            "blocks": [{"block_type": "text", "text": "Why?"}],
        },
        {"role": "assistant", "additional_kwargs": {}, "blocks": [{**block, "tool_kwargs": "{}"}]},
    ]
    question, answer = read(
        {"openinference.span.kind": "CHAIN", "input.value": json.dumps({"messages": messages})}
    ).inputs["chat_history"]
    assert question == {"role": "user", "content": "Why?"}
    assert answer["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}


def test_mlflow_s_own_attributes_are_json() -> None:
    """A user's attribute is the value that it was, not its text in quotes."""
    fields = read({"mlflow.spanType": '"TOOL"', "color": '"green"', "tags_of_run": '["a"]'})
    assert fields.metadata["color"] == "green"
    assert fields.metadata["tags_of_run"] == ["a"]


@pytest.mark.parametrize(
    ("name", "stated", "operation"),
    [
        ("chat_completion_v1_chat_completions_post", {}, "chat"),
        ("stream_chat", {}, "chat"),
        ("embeddings_v1_embeddings_post", {}, "embeddings"),
        ("fim_completion_v1_fim_completions_post", {}, "text_completion"),
        ("agents_completion_v1_agents_completions_post", {}, "chat"),
        ("invoke_agent forecaster", {"gen_ai.operation.name": "invoke_agent"}, "chat"),
        (
            "agents_api_v1_conversations_start",
            {"gen_ai.operation.name": "invoke_agent"},
            "chat",
        ),
        ("create_agent", {"gen_ai.operation.name": "create_agent"}, "create_agent"),
    ],
)
def test_a_request_of_mistral_s_client_is_the_operation_that_it_is_named_after(
    name: str, stated: Attributes, operation: str
) -> None:
    """Its versions 1 say none; a request to an agent is one call of a model, with its counts."""
    attributes = {"http.request.method": "POST", "gen_ai.request.model": "ok", **stated}
    span = conventional(span_of(attributes, name=name, scope="mistralai_sdk_tracer"))
    assert span.attributes["gen_ai.operation.name"] == operation


def test_the_record_of_a_stream_begins_where_the_stream_was_read() -> None:
    """Logfire writes it at the end of the stream, and says how long that took, in seconds."""
    log = {"logfire.span_type": "log", "duration": 0.25, "gen_ai.request.model": "ok"}
    model = conventional(span_of({**log, "gen_ai.operation.name": "chat"}))
    other = conventional(span_of(log))
    assert (model.end_ns - model.start_ns, "duration" in model.attributes) == (250_000_000, False)
    assert (other.end_ns - other.start_ns, other.attributes["duration"]) == (1_000_000_000, 0.25)


_REPLY = {
    "id": "resp_1",
    "model": "ok-2026",
    "output": [{"type": "message", "role": "assistant", "content": [{"text": "Rain."}]}],
    "tools": [{"type": "function", "name": "weather"}],
    "instructions": "Be brief.",
    "usage": {"input_tokens": 12, "output_tokens": 7},
    "truncation": "auto",
}


def test_a_reply_of_the_responses_api_is_the_answer_in_logfire_s_spans_of_agents() -> None:
    """Its input and reply have names that those of chat completions have not."""
    fields = read(
        {
            "gen_ai.request.model": "ok",
            "raw_input": '[{"role": "user", "content": "Rain?"}]',
            "response": json.dumps(_REPLY),
            "logfire.span_type": "span",
        },
        scope="logfire.openai_agents",
    )
    roles = [(message["role"], message["content"]) for message in fields.inputs["chat_history"]]
    assert roles == [("system", "Be brief."), ("user", "Rain?")]
    assert fields.outputs == {"role": "assistant", "content": "Rain."}
    assert fields.config["tools"][0]["name"] == "weather"
    assert fields.metadata["response"] == {"truncation": "auto"}
    assert (fields.metadata["prompt_tokens"], fields.metadata["completion_tokens"]) == (12, 7)


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        ({"openinference.span.kind": "LLM", "output.value": json.dumps([_REPLY])}, "o"),
        (
            {"gen_ai.request.model": "ok", "logfire.span_type": "span", "output": [_REPLY]},
            "logfire.openai_agents",
        ),
    ],
    ids=["OpenInference", "Logfire"],
)
def test_a_stream_of_openai_s_agents_is_answered_by_the_reply_in_a_list(
    attributes: Attributes, scope: str
) -> None:
    """A streamed chat completion is recorded as the reply of the other API, in a list of one."""
    assert read(attributes, scope=scope).outputs == {"role": "assistant", "content": "Rain."}


def test_a_span_of_logfire_s_that_is_pending_repeats_nothing() -> None:
    """Its own span is above it and says all once more."""
    pending = {"logfire.span_type": "pending_span", "gen_ai.request.model": "ok", "session.id": "a"}
    span = conventional(span_of(pending))
    assert span.attributes == {"logfire.span_type": "pending_span", "session.id": "a"}
    assert is_control(span)


def test_the_last_message_of_a_chat_is_the_answer_in_logfire_s_events_of_responses() -> None:
    """Version 4 has the chat and the answer in one list of events, and no choice."""
    question = {"event.name": "gen_ai.user.message", "role": "user", "content": "Rain?"}
    said = {"event.name": "gen_ai.assistant.message", "role": "assistant", "content": "Yes."}
    call = {"gen_ai.request.model": "ok", "logfire.span_type": "log"}
    spans = [
        read({**call, "events": json.dumps(events)}, scope="logfire.openai")
        for events in ([question], [question, said])
    ]
    assert spans[0].inputs == spans[1].inputs == {"chat_history": [user("Rain?")]}
    assert (spans[0].outputs, spans[1].outputs) == (None, {"role": "assistant", "content": "Yes."})


def user(text: str) -> Attributes:
    return {"role": "user", "content": text}
