"""Spans of platforms' own SDKs are steps of their kind, with inputs, outputs, session and user.

The attributes are those that the SDKs sent, shortened.
"""

from __future__ import annotations

from support.received_spans import translated

from sessiontrace.wire.session_facts import session_facts
from sessiontrace.wire.span_reader import read_span

QUESTION = {"role": "user", "content": "Rain?"}


def test_langwatch_s_values_are_without_their_types() -> None:
    """The metadata of a trace name its thread, its user and its labels."""
    tool = read_span(
        translated(
            {
                "langwatch.span.type": "tool",
                "langwatch.input": '{"type": "json", "value": {"city": "Oslo"}}',
                "langwatch.output": '{"type": "text", "value": "rain"}',
            }
        )
    )
    assert (tool.type, tool.inputs, tool.outputs) == ("tool", {"city": "Oslo"}, {"result": "rain"})
    root = translated(
        {
            "langwatch.span.type": "span",
            "langwatch.input": '{"type": "chat_messages", "value": [{"role": "user", "content": '
            '"Rain?"}]}',
            "metadata": '{"thread_id": "chat-7", "user_id": "ada", "labels": ["beta"], "a": 1}',
        }
    )
    fields = read_span(root)
    assert fields.inputs == {"chat_history": [QUESTION]}
    assert (fields.metadata["tags"], fields.metadata["a"]) == (["beta"], 1)
    assert "thread_id" not in fields.metadata
    assert session_facts(root.attributes, {}) == ("chat-7", None, "ada")


def test_agentops_s_steps_have_the_names_of_their_operations() -> None:
    """A kind may be shown as Python does; one argument without a name is the input."""
    attributes = {
        "agentops.span.kind": "tool",
        "operation.name": "weather",
        "agentops.tool.input": '{"args": ["Oslo"], "kwargs": {}}',
        "agentops.tool.output": "rain",
    }
    fields = read_span(translated(attributes, name="weather.tool"))
    assert (fields.type, fields.name) == ("tool", "weather")
    assert (fields.inputs, fields.outputs) == ({"input": "Oslo"}, {"result": "rain"})
    assert "operation.name" not in fields.metadata
    kind = {"agentops.span.kind": "AgentOpsSpanKindValues.AGENT"}
    assert read_span(translated(kind)).type == "agent"


def test_laminar_s_properties_are_session_user_tags_and_metadata() -> None:
    """Its calls' answers are the choices of OpenAI's API."""
    span = translated(
        {
            "lmnr.span.type": "LLM",
            "gen_ai.request.model": "ok",
            "gen_ai.output.messages": '[{"index": 0, "finish_reason": "stop", "message": '
            '{"role": "assistant", "content": "Rain."}}]',
            "lmnr.association.properties.session_id": "chat-7",
            "lmnr.association.properties.user_id": "ada",
            "lmnr.association.properties.tags": ["beta"],
            "lmnr.association.properties.metadata.plan": "pro",
        }
    )
    fields = read_span(span)
    assert fields.outputs == {"role": "assistant", "content": "Rain."}
    metadata = [fields.metadata[name] for name in ("finish_reason", "tags", "plan")]
    assert (fields.type, metadata) == ("model", ["stop", ["beta"], "pro"])
    assert session_facts(span.attributes, {}) == ("chat-7", None, "ada")


def test_future_agi_s_calls_are_openinference_s() -> None:
    """With messages, parameters and kinds below names of OTel's."""
    fields = read_span(
        translated(
            {
                "gen_ai.span.kind": "LLM",
                "gen_ai.request.parameters": '{"model": "ok", "temperature": 0.5}',
                "gen_ai.request.model": "ok-2026",
                "gen_ai.input.messages.0.message.role": "user",
                "gen_ai.input.messages.0.message.content": "Rain?",
                "gen_ai.output.messages.0.message.role": "assistant",
                "gen_ai.output.messages.0.message.content": "Rain.",
                "input.value": "Rain?",
                "gen_ai.tool.definitions.0.tool.json_schema": "{}",
            },
            scope="traceai_openai",
        )
    )
    assert (fields.type, fields.inputs) == ("model", {"chat_history": [QUESTION]})
    assert fields.outputs == {"role": "assistant", "content": "Rain."}
    assert fields.config == {"model": "ok", "hyperparameters": {"temperature": 0.5}}
    assert not [name for name in fields.metadata if name.startswith("gen_ai.")]


def test_a_text_in_json_is_the_text() -> None:
    """What a tool returned by Vercel's SDK 7, which writes each result as JSON."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": '"rain"'}
    assert read_span(translated(attributes)).outputs == {"result": "rain"}


def test_voltagent_s_spans_are_an_agent_with_calls_and_tools() -> None:
    """Its names have no head of their own; its tools' schemas are no arguments."""
    scope = "@voltagent/core"
    agent = read_span(
        translated(
            {"entity.type": "agent", "entity.name": "forecaster", "input": "Rain?"}, scope=scope
        )
    )
    assert (agent.type, agent.name, agent.inputs) == ("agent", "forecaster", {"input": "Rain?"})
    call = read_span(
        translated(
            {
                "span.type": "llm",
                "entity.type": "agent",
                "llm.model": "ok",
                "llm.messages": '[{"role": "user", "content": "Rain?"}]',
                "llm.tools": "weather",
                "llm.tools.count": 1,
                "llm.usage.prompt_tokens": 12,
                "llm.usage.completion_tokens": 7,
                "llm.usage.total_tokens": 19,
                "llm.usage.cached_tokens": 5,
            },
            scope=scope,
        )
    )
    assert (call.type, call.name, call.inputs) == ("model", "chat ok", {"chat_history": [QUESTION]})
    names = ("prompt_tokens", "completion_tokens", "total_tokens", "cache_read_tokens")
    assert [call.metadata[name] for name in names] == [12, 7, 19, 5]
    assert call.config["tools"] == [{"type": "function", "name": "weather"}]
    tool = read_span(
        translated(
            {
                "span.type": "tool",
                "tool.name": "weather",
                "tool.call.id": "call_1",
                "tool.parameters": '{"type": "object"}',
                "input": '{"city": "Oslo"}',
                "output": "rain",
            },
            scope=scope,
        )
    )
    assert (tool.type, tool.name, tool.inputs) == ("tool", "weather", {"city": "Oslo"})
    assert (tool.outputs, tool.metadata["tool_call_id"]) == ({"result": "rain"}, "call_1")
