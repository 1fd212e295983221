"""Spans of every convention become events, the same in the program and in the server.

Each span goes both ways: through the span processor, as a library in the program makes it, and
through OTLP (JSON and protobuf) into the server. All must give the same fields of an event, and the
ones that are written down here.
"""

from __future__ import annotations

import json
import struct
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from support.recording_tracer import Captured

from sessiontrace.model.step_types import STEP_TYPES
from sessiontrace.otel import SpanProcessor
from sessiontrace.server.apis.otlp import mapping
from sessiontrace.wire import model_call
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf
from sessiontrace.wire.protobuf import field, varint
from sessiontrace.wire.session_facts import session_reference
from sessiontrace.wire.span_content import openinference_kind
from sessiontrace.wire.span_reader import event_type, read_span

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
START, END = 1_790_000_000_000_000_000, 1_790_000_000_250_000_000
OTEL = {"trace_id": TRACE, "span_id": SPAN}
FIELDS = (
    "event_type",
    "event_name",
    "inputs",
    "outputs",
    "config",
    "metadata",
    "metrics",
    "feedback",
    "user_properties",
    "error",
)
LINKED, WHY = "00" * 7 + "01", {"why": "batch"}

Attributes = dict[str, Any]
Events = tuple[tuple[str, Attributes], ...]


# -- the two ways ---------------------------------------------------------------------------


def by_the_processor(
    name: str, attributes: Attributes, failed: bool, message: str, events: Events
) -> dict[str, Any]:
    """The event that the span processor records of an SDK's span."""
    tracer = Captured()
    processor = SpanProcessor(tracer)  # type: ignore[arg-type]
    span = SimpleNamespace(
        name=name,
        context=SimpleNamespace(trace_id=int(TRACE, 16), span_id=int(SPAN, 16)),
        parent=None,
        start_time=START,
        end_time=END,
        # The SDK has sequences as tuples.
        attributes={k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()},
        status=SimpleNamespace(
            status_code=SimpleNamespace(name="ERROR" if failed else "UNSET"),
            description=message or None,
        ),
        events=[SimpleNamespace(name=event, attributes=values) for event, values in events],
        links=[
            SimpleNamespace(
                context=SimpleNamespace(trace_id=int(TRACE, 16), span_id=int(LINKED, 16)),
                attributes=WHY,
            )
        ],
    )
    try:
        with tracer.session():
            processor.on_start(span)
            processor.on_end(span)
    finally:
        processor.shutdown()
    (event,) = tracer.events
    return event


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def pairs(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def request(
    name: str, attributes: Attributes, failed: bool, message: str, events: Events
) -> dict[str, Any]:
    """The span as an OTLP exporter sends it in JSON, with a link to another one."""
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": name,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(END),
        "attributes": pairs(attributes),
        "events": [{"name": event, "attributes": pairs(values)} for event, values in events],
        "links": [{"traceId": TRACE, "spanId": LINKED, "attributes": pairs(WHY)}],
        "status": {"code": 2 if failed else 0, "message": message},
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def protobuf(message: dict[str, Any]) -> bytes:
    """The same request in protobuf."""
    (span,) = message["resourceSpans"][0]["scopeSpans"][0]["spans"]
    body = field(b"\x0a", bytes.fromhex(TRACE)) + field(b"\x12", bytes.fromhex(SPAN))
    body += field(b"\x2a", span["name"].encode())
    body += b"\x39" + START.to_bytes(8, "little") + b"\x41" + END.to_bytes(8, "little")
    body += b"".join(key_value(b"\x4a", pair) for pair in span["attributes"])
    for event in span["events"]:
        inner = field(b"\x12", event["name"].encode())
        inner += b"".join(key_value(b"\x1a", pair) for pair in event["attributes"])
        body += field(b"\x5a", inner)
    link = field(b"\x0a", bytes.fromhex(TRACE)) + field(b"\x12", bytes.fromhex(LINKED))
    link += b"".join(key_value(b"\x22", pair) for pair in pairs(WHY))
    body += field(b"\x6a", link)
    status = field(b"\x12", span["status"]["message"].encode())
    body += field(b"\x7a", status + b"\x18" + varint(span["status"]["code"]))
    return field(b"\x0a", field(b"\x12", field(b"\x12", body)))


def key_value(tag: bytes, pair: dict[str, Any]) -> bytes:
    return field(tag, field(b"\x0a", pair["key"].encode()) + field(b"\x12", encoded(pair["value"])))


def encoded(value: dict[str, Any]) -> bytes:
    ((kind, inner),) = value.items()
    if kind == "boolValue":
        return b"\x10" + varint(inner)
    if kind == "intValue":
        return b"\x18" + varint(int(inner) & (1 << 64) - 1)
    if kind == "doubleValue":
        return b"\x21" + struct.pack("<d", inner)
    if kind == "arrayValue":
        items = b"".join(field(b"\x0a", encoded(item)) for item in inner["values"])
        return field(b"\x2a", items)
    if kind == "kvlistValue":
        return field(b"\x32", b"".join(key_value(b"\x0a", pair) for pair in inner["values"]))
    return field(b"\x0a", inner.encode())


NAMES_A_SESSION = (
    "honeyhive.session_id", "traceloop.association.properties.session_id", "session.id",
    "gen_ai.conversation.id", "langfuse.session.id",
)  # fmt: skip
"""The most explicit first."""


def by_the_server(spans: Any) -> dict[str, Any]:
    """The event that the server writes of a request's only span.

    Of a model call the server remembers the instrumentation, to see which events are one call.
    """
    records = mapping.convert(spans).records
    event = next(
        written
        for written in (orjson.loads(record.body) for record in records)
        if written.get("event_type") in STEP_TYPES and "inputs" in written
    )
    if event["event_type"] in ("model", "embedding"):
        assert event["metadata"]["otel"].pop("scope") == ""
    return event


def read(
    attributes: Attributes,
    *,
    name: str = "span",
    failed: bool = False,
    message: str = "",
    events: Events = (),
) -> dict[str, Any]:
    """The event of a span, after a check that each way gives the same; without its otel ids."""
    in_json = request(name, attributes, failed, message, events)
    ways = [
        by_the_processor(name, attributes, failed, message, events),
        by_the_server(from_json(in_json)[0]),
        by_the_server(from_protobuf(protobuf(in_json))[0]),
    ]
    first, second, third = (
        {field: event[field] for field in FIELDS if event.get(field) not in (None, {})}
        for event in ways
    )
    assert first == second == third
    otel = first["metadata"].pop("otel")
    others = [event for event in events if not event[0].startswith(("gen_ai.", "exception"))]
    assert otel.pop("links") == [{"trace_id": TRACE, "span_id": LINKED, "attributes": WHY}]
    assert otel.pop("events", []) == [{"name": key, "attributes": value} for key, value in others]
    if (named_by := next((key for key in NAMES_A_SESSION if key in attributes), None)) is not None:
        assert otel.pop("session_from") in (named_by, "session.id")  # as it is translated
    assert otel == (OTEL if first["event_name"] == name else {**OTEL, "name": name})
    return {field: value for field, value in first.items() if value != {}}


# -- chats ----------------------------------------------------------------------------------

NEW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind"}]),
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "text", "content": "Hi"},
                    {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"a": 1}},
                ],
                "finish_reason": "stop",
            }
        ]
    ),
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 5,
    "gen_ai.conversation.id": "chat-1",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-5",
    "llm.provider": "openai",
    "llm.invocation_parameters": '{"temperature": 0.5}',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be kind",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Hello?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Hi",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": {"a": 1},
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 7,
    "llm.token_count.prompt_details.cache_read": 5,
    "session.id": "chat-1",
}
TRACELOOP = {
    "llm.request.type": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be kind",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Hello?",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Hi",
    "gen_ai.completion.0.tool_calls.0.id": "c1",
    "gen_ai.completion.0.tool_calls.0.name": "weather",
    "gen_ai.completion.0.tool_calls.0.arguments": {"a": 1},
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 7,
    "gen_ai.usage.cache_read_input_tokens": 5,
    "traceloop.association.properties.session_id": "chat-1",
}


OLDER = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 7,
    "gen_ai.usage.cache_read_input_tokens": 5,
    "gen_ai.system_instructions": NEW["gen_ai.system_instructions"],
    "gen_ai.input.messages": NEW["gen_ai.input.messages"],
    "gen_ai.output.messages": NEW["gen_ai.output.messages"],
    "gen_ai.response.finish_reasons": ["stop"],
}


@pytest.mark.parametrize("attributes", [NEW, OLDER, OPENINFERENCE, TRACELOOP])
def test_three_conventions_one_event(attributes: Attributes) -> None:
    """Whichever library made the span and whichever names it uses, the event is the same."""
    event = read(attributes)

    assert event["event_type"] == "model"
    assert event["event_name"] == "chat gpt-5"
    assert event["inputs"] == {
        "chat_history": [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": "Hello?"},
        ]
    }
    assert event["outputs"] == {
        "role": "assistant",
        "content": "Hi",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"a": 1}}}
        ],
    }
    assert event["config"] == {
        "model": "gpt-5",
        "provider": "openai",
        "hyperparameters": {"temperature": 0.5},
    }
    metadata = event["metadata"]
    assert metadata.pop("finish_reason", "stop") == "stop"
    assert metadata.pop("llm.request.type", "chat") == "chat"
    assert metadata == {
        "prompt_tokens": 12,
        "completion_tokens": 7,
        "total_tokens": 19,
        "cache_read_tokens": 5,
    }


def test_what_the_decoders_once_read_differently() -> None:
    """Roles by direction, reasoning apart from the answer, one finish reason, a sum of tokens."""
    event = read(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.input.messages": json.dumps([{"parts": [{"type": "text", "content": "a?"}]}]),
            "gen_ai.output.messages": json.dumps(
                [
                    {
                        "parts": [
                            {"type": "reasoning", "content": "hm"},
                            {"type": "text", "content": "a"},
                            {"type": "text", "content": "b"},
                        ]
                    }
                ]
            ),
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 4,
            "gen_ai.usage.output_tokens": 3,
        }
    )
    assert event["inputs"] == {"chat_history": [{"role": "user", "content": "a?"}]}
    assert event["outputs"] == {"role": "assistant", "reasoning": "hm", "content": "ab"}
    assert event["metadata"] == {
        "finish_reason": "stop",
        "prompt_tokens": 4,
        "completion_tokens": 3,
        "total_tokens": 7,
    }


def test_parts_that_are_no_text_stay_in_order() -> None:
    """An image between two texts; a tool's answer alone, and two of them in one message."""
    image = {"type": "uri", "modality": "image", "uri": "https://example.com/cat.png"}
    answers = [
        {"type": "tool_call_response", "id": "c1", "response": "1"},
        {"type": "tool_call_response", "id": "c2", "result": {"b": 2}},
    ]
    event = read(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": json.dumps(
                [
                    {"role": "user", "parts": [{"type": "text", "content": "Who?"}, image]},
                    {"role": "tool", "parts": answers[:1]},
                    {"role": "tool", "name": "both", "parts": answers},
                    {"role": "user", "content": "plain"},
                ]
            ),
        }
    )
    assert event["inputs"]["chat_history"] == [
        {"role": "user", "content": [{"type": "text", "text": "Who?"}, image]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "name": "both", "content": answers},
        {"role": "user", "content": "plain"},
    ]


def test_several_answers_are_choices_with_a_reason_each() -> None:
    """Traceloop's completions; its finish reason is a field of each message."""
    event = read(
        {
            "llm.request.type": "chat",
            "gen_ai.completion.0.content": "a",
            "gen_ai.completion.0.finish_reason": "stop",
            "gen_ai.completion.1.content": "b",
            "gen_ai.completion.1.finish_reason": "length",
            "gen_ai.prompt.prompt_filter_results": "[]",
        }
    )
    assert event["outputs"] == {
        "choices": [
            {"role": "assistant", "content": "a"},
            {"role": "assistant", "content": "b"},
        ]
    }
    assert event["metadata"] == {
        "finish_reason": ["stop", "length"],
        "gen_ai.prompt.prompt_filter_results": "[]",
    }


def test_messages_in_events_are_the_chat() -> None:
    """Conventions of 2024 sent messages as span events; any other event stays, whole."""
    events = (
        ("gen_ai.user.message", {"content": "Hello?"}),
        ("gen_ai.choice", {"index": 0, "message": '{"content": "Hi"}'}),
        ("retried", {"after": 2}),
    )
    event = read({"gen_ai.system": "openai", "gen_ai.request.model": "gpt-5"}, events=events)
    assert event == {
        "event_type": "model",
        "event_name": "chat gpt-5",
        "inputs": {"chat_history": [{"role": "user", "content": "Hello?"}]},
        "outputs": {"role": "assistant", "content": "Hi"},
        "config": {"model": "gpt-5", "provider": "openai"},
    }


# -- other kinds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "look_up",
                "gen_ai.tool.call.id": "c1",
                "gen_ai.tool.call.arguments": '{"word": 1}',
                "gen_ai.tool.call.result": "plain",
                "gen_ai.tool.description": "Looks up.",
            },
            {
                "event_type": "tool",
                "event_name": "look_up",
                "inputs": {"word": 1},
                "outputs": {"result": "plain"},
                "metadata": {"tool_call_id": "c1", "gen_ai.tool.description": "Looks up."},
            },
        ),
        (
            {
                "openinference.span.kind": "tool",
                "tool.name": "look_up",
                "tool.parameters": '{"a": 1}',
                "output.value": "42",
            },
            {
                "event_type": "tool",
                "event_name": "look_up",
                "inputs": {"a": 1},
                "outputs": {"result": "42"},
            },
        ),
        (
            {
                "openinference.span.kind": "TOOL",
                "input.value": '"quoted"',
                "input.mime_type": "application/json",
                "tool.parameters": '{"a": 1}',
            },
            {
                "event_type": "tool",
                "event_name": "span",
                "inputs": {"input": "quoted"},
                "metadata": {"tool.parameters": '{"a": 1}'},
            },
        ),
        (
            {
                "openinference.span.kind": "RETRIEVER",
                "input.value": "cats",
                "retrieval.documents.0.document.id": "d0",
                "retrieval.documents.0.document.content": "A cat.",
                "retrieval.documents.1.document.content": "Cats.",
                "retrieval.documents.1.document.score": 0.5,
            },
            {
                "event_type": "retriever",
                "event_name": "span",
                "inputs": {"input": "cats"},
                "outputs": {
                    "documents": [
                        {"id": "d0", "content": "A cat."},
                        {"content": "Cats.", "score": 0.5},
                    ]
                },
            },
        ),
        (
            {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.retrieval.query.text": "cats",
                "gen_ai.retrieval.documents": '[{"id": "d0"}]',
            },
            {
                "event_type": "retriever",
                "event_name": "span",
                "inputs": {"input": "cats"},
                "outputs": {"result": [{"id": "d0"}]},
            },
        ),
        (
            {
                "openinference.span.kind": "EMBEDDING",
                "embedding.model_name": "e-3",
                "embedding.embeddings.0.embedding.text": "cat",
                "llm.token_count.prompt": 1,
            },
            {
                "event_type": "embedding",
                "event_name": "embeddings e-3",
                "inputs": {"input": ["cat"]},
                "config": {"model": "e-3"},
                "metadata": {"prompt_tokens": 1},
            },
        ),
        (
            {
                "gen_ai.operation.name": "embeddings",
                "gen_ai.request.model": "e-3",
                "gen_ai.embeddings.dimension.count": 8,
                "gen_ai.request.encoding_formats": ["float"],
            },
            {
                "event_type": "embedding",
                "event_name": "embeddings e-3",
                "config": {"model": "e-3", "hyperparameters": {"encoding_formats": ["float"]}},
                "metadata": {"gen_ai.embeddings.dimension.count": 8},
            },
        ),
        (
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "planner",
                "gen_ai.response.time_to_first_chunk": 0.25,
            },
            {
                "event_type": "agent",
                "event_name": "planner",
                "metadata": {"agent_name": "planner"},
                "metrics": {"time_to_first_chunk_ms": 250.0},
            },
        ),
        (
            {
                "traceloop.span.kind": "workflow",
                "traceloop.entity.name": "flow",
                "traceloop.entity.input": '{"a": 1}',
                "traceloop.entity.output": '"done"',
                "traceloop.workflow.name": "outer",
            },
            {
                "event_type": "chain",
                "event_name": "flow",
                "inputs": {"a": 1},
                "outputs": {"result": "done"},
                "metadata": {"traceloop.workflow.name": "outer"},
            },
        ),
        (
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-5",
                "langfuse.session.id": "s-1",
                "langfuse.observation.type": "generation",
                "user.id": "ada",
                "tag.tags": ["a", "b"],
                "metadata": '{"plan": "pro", "prompt_tokens": 9}',
                "gen_ai.usage.input_tokens": 3,
            },
            {
                "event_type": "model",
                "event_name": "chat gpt-5",
                "config": {"model": "gpt-5"},
                "metadata": {
                    "plan": "pro",
                    "prompt_tokens": 3,
                    "tags": ["a", "b"],
                },
                "user_properties": {"user_id": "ada"},
            },
        ),
        (
            {
                "honeyhive_event_type": "tool",
                "honeyhive_event_name": "named",
                "honeyhive_inputs.word": '{"a": 1}',
                "honeyhive_outputs.result.0": "x",
                "honeyhive_outputs.result.1": "y",
                "honeyhive_config.hyperparameters.top_p": 1,
                "honeyhive_metadata.deep.er": 1,
                "honeyhive_feedback.rating": True,
                "gen_ai.request.temperature": 0.5,
            },
            {
                "event_type": "tool",
                "event_name": "named",
                "inputs": {"word": {"a": 1}},
                "outputs": {"result": ["x", "y"]},
                "config": {"hyperparameters": {"temperature": 0.5, "top_p": 1}},
                "metadata": {"deep": {"er": 1}},
                "feedback": {"rating": True},
            },
        ),
        (  # our own exporter's: the span has the event's own name and the rest of its inputs
            {
                "sessiontrace.event.type": "model",
                "sessiontrace.config.type": "chat",
                "gen_ai.request.model": "gpt-5",
                "gen_ai.input.messages": '[{"role":"user","parts":[]}]',
                "input.value": '{"question": "why"}',
                "input.mime_type": "application/json",
            },
            {
                "event_type": "model",
                "event_name": "span",
                "inputs": {"chat_history": [{"role": "user", "content": None}], "question": "why"},
                "config": {"model": "gpt-5", "type": "chat"},
            },
        ),
    ],
)
def test_each_kind_of_span_is_an_event_of_its_type(
    attributes: Attributes, expected: dict[str, Any]
) -> None:
    """Tools, retrieval, embeddings, agents; what no convention names stays in the metadata."""
    assert read(attributes) == expected


@pytest.mark.parametrize(
    ("attributes", "operation", "kind"),
    [
        ({"gen_ai.operation.name": "chat"}, "chat", None),
        ({"gen_ai.operation.name": "text_completion"}, "text_completion", None),
        ({"gen_ai.operation.name": "generate_content"}, "generate_content", None),
        ({"gen_ai.operation.name": "embeddings"}, "embeddings", None),
        ({"openinference.span.kind": "EMBEDDING"}, "embeddings", None),
        ({"openinference.span.kind": "RERANKER"}, "rerank", "RERANKER"),
        ({"openinference.span.kind": "RETRIEVER"}, "retrieval", "RETRIEVER"),
        ({"openinference.span.kind": "TOOL"}, "execute_tool", "TOOL"),
        ({"openinference.span.kind": "AGENT"}, "invoke_agent", "AGENT"),
        ({"openinference.span.kind": "GUARDRAIL"}, None, "GUARDRAIL"),
        ({"openinference.span.kind": "EVALUATOR"}, None, "EVALUATOR"),
        ({"openinference.span.kind": "CHAIN"}, None, "CHAIN"),
        ({"traceloop.span.kind": "agent"}, "invoke_agent", "AGENT"),
        ({"traceloop.span.kind": "workflow"}, None, "CHAIN"),
    ],
)
def test_a_kind_goes_out_as_it_came_in(
    attributes: Attributes, operation: str | None, kind: str | None
) -> None:
    """A program's own OTel spans pass through us on their way to a backend."""
    event = read(attributes)
    assert model_call.operation(event) == operation
    assert openinference_kind(event, operation) == kind


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
        ({"gen_ai.operation.name": "embeddings"}, "embedding"),
        ({"gen_ai.operation.name": "retrieval"}, "retriever"),
        ({"gen_ai.operation.name": "search_memory"}, "tool"),
        ({"mcp.method.name": "tools/call"}, "tool"),
        ({"openinference.span.kind": "RETRIEVER"}, "retriever"),
        ({"openinference.span.kind": "EMBEDDING"}, "embedding"),
        ({"openinference.span.kind": "AGENT"}, "agent"),
        ({"openinference.span.kind": "GUARDRAIL"}, "guardrail"),
        ({"openinference.span.kind": "EVALUATOR"}, "evaluator"),
        ({"openinference.span.kind": "PROMPT"}, "chain"),
        ({"traceloop.span.kind": "agent"}, "agent"),
        ({"openinference.span.kind": "llm"}, "model"),
        ({"traceloop.span.kind": "workflow"}, "chain"),
        ({"llm.model_name": "gpt-5"}, "model"),
        ({"http.request.method": "GET"}, None),
        ({}, None),
    ],
)
def test_types(attributes: Attributes, expected: str | None) -> None:
    """A span about no model, tool or agent has no type."""
    assert event_type(attributes) == expected


def test_the_most_explicit_name_of_a_session_counts() -> None:
    """A span's own attributes first, then those of its resource."""
    attributes = {"gen_ai.conversation.id": "chat-1", "session.id": ""}
    assert session_reference(attributes) == "chat-1"
    assert session_reference(attributes, {"honeyhive.session_id": "h"}) == "h"
    assert session_reference({"langfuse.session.id": "l"}, {"service.name": "s"}) == "l"
    assert session_reference({"session.id": 7}) is None


# -- errors ---------------------------------------------------------------------------------

EXCEPTION = (
    (
        "exception",
        {
            "exception.type": "ValueError",
            "exception.message": "no",
            "exception.stacktrace": "a.py:1",
        },
    ),
)
DETAILS = {"type": "ValueError", "message": "no", "stack": "a.py:1"}


@pytest.mark.parametrize(
    ("span", "error", "details"),
    [
        ({"failed": True, "message": "rate limit"}, "rate limit", {"message": "rate limit"}),
        ({"failed": True, "events": EXCEPTION}, "ValueError: no", DETAILS),
        ({"failed": True, "message": "so", "events": EXCEPTION}, "so", DETAILS),
        ({"events": EXCEPTION}, None, DETAILS),
        ({"failed": True}, "error", None),
    ],
)
def test_errors(span: dict[str, Any], error: str | None, details: Any) -> None:
    """The status' message or else the exception; its type, message and stack in the metadata."""
    event = read({"gen_ai.operation.name": "execute_tool"}, **span)
    assert event.get("error") == error
    assert event.get("metadata", {}).get("error") == details


@pytest.mark.parametrize(("kind", "details"), [("timeout", {"type": "timeout"}), ("_OTHER", None)])
def test_the_type_of_an_error_alone(kind: str, details: Any) -> None:
    """``_OTHER`` is the conventions' word for none."""
    attributes = {"gen_ai.operation.name": "execute_tool", "error.type": kind}
    event = read(attributes, failed=True)
    assert event["error"] == kind
    assert event.get("metadata", {}).get("error") == details


# -- hostile attributes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": "[1, null, []]", "gen_ai.output.messages": "not JSON"},
        {"gen_ai.input.messages": '[{"role": 7, "parts": [1, {"type": []}]}]'},
        {"llm.input_messages.0.message": "text", "llm.input_messages.x.y": 1},
        {"llm.input_messages.0.message.role": "a", "llm.input_messages.0.message.role.b": "c"},
        {"llm.output_messages.0.message.tool_calls.0": 1, "retrieval.documents.0": 2},
        {"llm.invocation_parameters": '"text"', "openai.request.service_tier": "flex"},
        {"gen_ai.usage.input_tokens": "many", "gen_ai.response.time_to_first_chunk": "soon"},
        {"honeyhive_inputs." + "a." * 2000 + "b": "deep"},
        {"honeyhive_inputs.x": '{"a":' * 500 + "1" + "}" * 500},
        {"metadata": "[1]", "metadata.a": 1, "tag.tags": "one"},
    ],
)
def test_no_attribute_raises(attributes: Attributes) -> None:
    """What a span holds is a stranger's; the event is there all the same."""
    span = request("x", {"gen_ai.operation.name": "chat", **attributes}, False, "", ())
    (received,), _ = from_json(span)
    fields = read_span(received)
    assert fields.type == "model"
    assert fields.metadata["otel"]["trace_id"] == TRACE
