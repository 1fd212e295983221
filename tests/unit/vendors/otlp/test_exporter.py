"""Records as OTLP spans: ids, times, attributes, and partial success."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.exporters import OTLP, T0, Story, deliver, late, record, spans

import sessiontrace as st
from sessiontrace.export.protocol import Batch, Delivered, Reply, Request
from sessiontrace.model.record import END, EVENT, START, Record, Records
from sessiontrace.vendors.otlp.exporter import OTLPExporter
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf
from sessiontrace.wire.span_attributes import AttributeLimits
from sessiontrace.wire.span_exception import stack_of

RETRIEVAL = {"operation": "retrieval"}
JSON_OBJECT = {"type": "json_object"}


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for pair in span["attributes"]:
        ((kind, value),) = pair["value"].items()
        if kind == "intValue":
            assert isinstance(value, str)
            value = int(value)
        found[pair["key"]] = value
    return found


def sent(*records: Record) -> list[dict[str, Any]]:
    return [span for one in deliver(OTLP, records).requests for span in spans(one)]


def test_a_session_is_the_root_span_of_its_trace() -> None:
    """Ids are the record's own bits: 128 of the session's, the low 64 of the event's."""
    story = Story()
    start = story.start()
    chain = story.event(start, "chain")
    call = story.model(chain)
    child, parent, root = sent(
        record(START, start),
        record(EVENT, call),
        record(EVENT, chain),
        record(END, story.end(start)),
    )
    assert {one["traceId"] for one in (child, parent, root)} == {
        start["session_id"].replace("-", "")
    }
    assert root["spanId"] == start["session_id"].replace("-", "")[16:]
    assert "parentSpanId" not in root
    assert parent["parentSpanId"] == root["spanId"]
    assert child["parentSpanId"] == parent["spanId"]
    assert (root["kind"], parent["kind"], child["kind"]) == (1, 1, 3)
    assert child["startTimeUnixNano"] == str(T0 * 1_000_000)
    assert child["endTimeUnixNano"] == str((T0 + 100) * 1_000_000)


def test_a_model_call_speaks_otels_genai_names() -> None:
    """Model, provider, parameters, tokens and messages, each under its newest name."""
    story = Story()
    start = story.start()
    call = story.model(
        start,
        metadata={
            "prompt_tokens": 11,
            "completion_tokens": 5,
            "finish_reason": "stop",
            "mine": {"a": 1},
        },
        metrics={"score": 0.5, "time_to_first_chunk_ms": 250},
        feedback={"ok": True},
    )
    _, span = [None, *sent(record(START, start), record(EVENT, call))]
    found = attributes(span)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == "gpt-9"
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.request.temperature"] == 0.5
    assert found["gen_ai.request.max_tokens"] == 64
    assert found["gen_ai.request.stop_sequences"] == {"values": [{"stringValue": "\n"}]}
    assert found["gen_ai.usage.input_tokens"] == 11
    assert found["gen_ai.usage.output_tokens"] == 5
    assert found["gen_ai.response.finish_reasons"] == {"values": [{"stringValue": "stop"}]}
    assert found["gen_ai.response.time_to_first_chunk"] == 0.25
    assert found["session.id"] == start["session_id"]
    assert "gen_ai.conversation.id" not in found  # the application has none
    assert found["user.id"] == "ada"
    assert orjson.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "why?"}]}
    ]
    assert orjson.loads(found["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "because"}],
            "finish_reason": "stop",
        }
    ]
    assert found["sessiontrace.metadata.mine"] == '{"a":1}'
    assert found["sessiontrace.metrics.score"] == 0.5
    assert found["sessiontrace.feedback.ok"] is True
    assert "sessiontrace.config.model" not in found


def test_a_tool_tells_its_arguments_and_result() -> None:
    """execute_tool, with both as JSON texts."""
    story = Story()
    (span,) = sent(record(EVENT, story.event(story.start())))
    found = attributes(span)
    assert found["gen_ai.operation.name"] == "execute_tool"
    assert found["gen_ai.tool.name"] == "a tool"
    assert found["gen_ai.tool.call.arguments"] == '{"input":1}'
    assert found["gen_ai.tool.call.result"] == '{"result":2}'


def test_ids_go_along_whole() -> None:
    """A span id holds half of an event's: who knows our attributes can put the tree together."""
    story = Story()
    start = story.start()
    turn = {**story.start(), "event_id": story.id()}
    event = story.event(start)
    child, rate, root, top = sent(
        record(EVENT, event),
        late(event, metrics={"n": 1}),
        record(END, story.end(start)),
        record(END, story.end(turn)),
    )
    assert attributes(child)["sessiontrace.event.id"] == event["event_id"]
    assert attributes(child)["sessiontrace.parent.id"] == start["session_id"]
    assert attributes(rate)["sessiontrace.parent.id"] == event["event_id"]
    assert "sessiontrace.parent.id" not in attributes(root)
    assert attributes(top)["sessiontrace.parent.id"] == turn["session_id"]


def test_times_beyond_64_bits_of_nanoseconds_are_cut_there() -> None:
    """The year 9999 is a legal time in a record and none in OTLP."""
    event = Story().event(Story().start(), start_time=253_000_000_000_000, duration=1e300)
    (span,) = sent(record(EVENT, event))
    assert span["startTimeUnixNano"] == span["endTimeUnixNano"] == str((1 << 63) - 1)


def test_an_error_is_status_type_and_exception_event() -> None:
    """As an OTel SDK would have recorded it."""
    story = Story()
    failed = {"type": "shop.NoOrder", "message": "none", "stack": "f.py:1 in f"}
    event = story.event(story.start(), error="NoOrder: none", metadata={"error": failed})
    (span,) = sent(record(EVENT, event))
    assert span["status"] == {"code": 2, "message": "NoOrder: none"}
    assert attributes(span)["error.type"] == "shop.NoOrder"
    (exception,) = span["events"]
    assert attributes(exception) == {
        "exception.type": "shop.NoOrder",
        "exception.message": "none",
        "exception.stacktrace": (
            'Traceback (most recent call last):\n  File "f.py", line 1, in f\nshop.NoOrder: none'
        ),
    }


def test_spans_are_grouped_by_the_service_that_made_them() -> None:
    """Two services' sessions in one batch: two resources."""
    story = Story()
    one, other = story.start(), story.start(metadata={"service": "desk"})
    records = [record(START, one), record(START, other)]
    records += [record(EVENT, story.event(parent)) for parent in (one, other, one)]
    (request,) = deliver(OTLP, records).requests
    groups = orjson.loads(request.body)["resourceSpans"]
    names = [attributes(group["resource"])["service.name"] for group in groups]
    assert names == ["shop", "desk"]
    assert [len(group["scopeSpans"][0]["spans"]) for group in groups] == [2, 1]


def test_a_late_score_is_a_span_without_length_below_its_event() -> None:
    """Sent twice it has the same id."""
    story = Story()
    call = story.model(story.start())
    score = late(call, feedback={"rating": 5})
    (span,) = sent(score)
    assert span["parentSpanId"] == call["event_id"].replace("-", "")[16:]
    assert span["startTimeUnixNano"] == span["endTimeUnixNano"] != "0"
    assert attributes(span)["sessiontrace.feedback.rating"] == 5
    assert sent(score) == [span]


def test_a_turn_is_a_root_because_nothing_stands_for_its_whole_conversation() -> None:
    """A parent that no record ever makes would leave every viewer searching for it."""
    story = Story()
    turn = {**story.start(), "event_id": story.id()}
    (span,) = sent(record(START, turn), record(END, story.end(turn)))
    assert "parentSpanId" not in span
    assert span["spanId"] == turn["event_id"].replace("-", "")[16:]


def test_a_call_without_a_known_end_still_has_a_finish_reason() -> None:
    """Phoenix leaves out a message without one; the provider's own reasons keep their attribute."""
    story = Story()
    start = story.start()
    answer = {"role": "assistant", "content": "hm"}
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}
    outputs: list[dict[str, Any]] = [
        answer,
        {"choices": [{"message": answer, "finish_reason": "length"}, {"message": answer}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    events = [story.model(start, outputs=output, metadata={}) for output in outputs]
    events += [story.model(start, outputs=answer, metadata={"finish_reason": "end_turn"})]
    events += [story.model(start, outputs=answer, error="Timeout: slow", metadata={})]
    reasons = [
        [message["finish_reason"] for message in orjson.loads(found["gen_ai.output.messages"])]
        for found in map(attributes, sent(*(record(EVENT, event) for event in events)))
    ]
    assert reasons == [["stop"], ["length", "stop"], ["tool_call"], ["stop"], ["error"]]


@pytest.mark.parametrize(
    ("definition", "flat"),
    [
        (
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "function", "name": "f", "parameters": {"type": "object"}},
        ),
        (
            {"name": "f", "description": "d", "input_schema": {"type": "object"}},
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
        ),
        ({"function_declarations": [{"name": "f"}]}, {"type": "function", "name": "f"}),
        (
            {"type": "web_search_preview"},  # the conventions require a name of every tool
            {"type": "web_search_preview", "name": "web_search_preview"},
        ),
    ],
)
def test_tool_definitions_are_flat(definition: dict[str, Any], flat: dict[str, Any]) -> None:
    """OpenAI's, Anthropic's and Gemini's form, and a tool of the provider's."""
    story = Story()
    event = story.model(story.start(), config={"model": "m", "tools": [definition]})
    (span,) = sent(record(EVENT, event))
    assert orjson.loads(attributes(span)["gen_ai.tool.definitions"]) == [flat]


def test_each_kind_of_step_says_what_it_is() -> None:
    """The operation names the span; OpenInference's kind is on all but model calls."""
    story = Story()
    start = story.start()
    agent = story.event(start, "chain", event_name="plan trip", metadata={"agent_name": "guide"})
    search = story.event(start, event_name="search", inputs={"query": "sea"}, metadata=RETRIEVAL)
    steps = [agent, search, story.event(start, "chain", event_name="step"), story.model(start)]
    spans_sent = sent(*(record(EVENT, event) for event in steps))
    found = [attributes(span) for span in spans_sent]
    kinds = [values.get("openinference.span.kind") for values in found]
    assert kinds == ["AGENT", "RETRIEVER", "CHAIN", None]
    assert [span["name"] for span in spans_sent] == [
        "invoke_agent guide",
        "retrieval search",
        "step",
        "chat gpt-9",
    ]
    assert found[0]["sessiontrace.event.name"] == "plan trip"
    assert found[1]["gen_ai.retrieval.query.text"] == "sea"
    assert found[1]["input.value"] == found[1]["gen_ai.tool.call.arguments"]


def test_tags_system_instructions_and_cache_writes_have_the_names_that_backends_read() -> None:
    """Tags are an array; Phoenix reads only the older name of cache writes."""
    story = Story()
    call = story.model(
        story.start(),
        inputs={"system": "Be brief.", "messages": [{"role": "user", "content": "why?"}]},
        config={"model": "m", "hyperparameters": {"top_k": 40.0, "response_format": JSON_OBJECT}},
        metadata={"tags": ["vip"], "cache_write_tokens": 7},
    )
    (span,) = sent(record(EVENT, call))
    found = attributes(span)
    assert found["tag.tags"] == {"values": [{"stringValue": "vip"}]}
    assert "sessiontrace.metadata.tags" not in found
    assert orjson.loads(found["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "Be brief."}
    ]
    assert found["gen_ai.usage.cache_write.input_tokens"] == 7
    assert found["gen_ai.usage.cache_creation.input_tokens"] == 7
    assert found["gen_ai.request.top_k"] == 40
    assert found["gen_ai.output.type"] == "json"


def test_a_chain_of_errors_is_printed_as_python_does() -> None:
    """The cause comes first; the server gets the stack back as it was."""
    story = Story()
    details = {
        "type": "shop.NoOrder",
        "message": "none",
        "stack": "a.py:1 in f\nb.py:2 in <module>",
        "causes": [{"type": "KeyError", "message": "'tea'"}],
    }
    event = story.event(story.start(), error="NoOrder: none", metadata={"error": details})
    (span,) = sent(record(EVENT, event))
    (exception,) = span["events"]
    printed = attributes(exception)["exception.stacktrace"]
    assert printed.startswith("KeyError: 'tea'\n\nThe above exception was the direct cause")
    assert printed.endswith('  File "b.py", line 2, in <module>\nshop.NoOrder: none')
    assert stack_of(printed) == details["stack"]


def test_a_turn_is_a_trace_and_the_conversation_groups_the_traces() -> None:
    """Trace, own id and user are on every span, also on one that is sent before its parents."""
    story = Story()
    session_id = story.id()
    traces = set()
    for _ in range(2):
        turn_id = story.id()
        metadata = {"session_id": "chat 7", "otel.trace_id": turn_id.replace("-", "")}
        turn = {**story.start(metadata=metadata), "event_id": turn_id, "session_id": session_id}
        call = story.event(turn, metadata={"otel.trace_id": turn_id.replace("-", "")})
        score = late(call, metrics={"n": 1}, metadata={"otel.trace_id": turn_id.replace("-", "")})
        end = record(END, story.end(turn))
        sent_spans = sent(record(START, turn), record(EVENT, call), score, end)
        assert {span["traceId"] for span in sent_spans} == {turn_id.replace("-", "")}
        traces.add(turn_id)
        for span in sent_spans:
            values = attributes(span)
            assert values["session.id"] == values["gen_ai.conversation.id"] == "chat 7"
            assert "sessiontrace.metadata.otel.trace_id" not in values
        assert [attributes(sent_spans[at])["user.id"] for at in (0, 2)] == ["ada", "ada"]
    assert len(traces) == 2


def test_a_session_in_another_tracers_trace_has_its_span_above() -> None:
    """The ids of the trace and of the parent go out as they came in."""
    story = Story()
    metadata = {"otel.trace_id": "ab" * 16, "otel.parent_span_id": "cd" * 8}
    turn = {**story.start(metadata=metadata), "event_id": story.id()}
    (span,) = sent(record(START, turn), record(END, story.end(turn)))
    assert (span["traceId"], span["parentSpanId"]) == ("ab" * 16, "cd" * 8)
    assert "gen_ai.conversation.id" not in attributes(span)


@pytest.mark.parametrize(
    ("body", "rejected"),
    [
        (b"", 0),
        (b"{}", 0),
        (b'{"partialSuccess":{}}', 0),
        (b'{"partialSuccess":{"errorMessage":"mind the gap"}}', 0),
        (b'{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}', 3),
        (b'{"partialSuccess":{"rejectedSpans":2}}', 2),
        (b'{"partialSuccess":{"rejectedSpans":"many"}}', 0),
        (b"[]", 0),
        (b"OK", 0),
    ],
)
def test_a_partial_success_is_counted_and_not_retried(body: bytes, rejected: int) -> None:
    """C17: what the backend rejected within a 200 is rejected, the rest is delivered."""
    request = Request("POST", "/v1/traces", b"{}", tuple(range(10)))
    verdict = OTLPExporter().interpret(request, Reply(200, {}, body))
    assert isinstance(verdict, Delivered)
    assert len(verdict.rejected) == rejected
    if body.count(b"too old"):
        assert set(verdict.rejected.values()) == {"3 of 10 spans rejected: too old"}


def test_a_span_has_a_bounded_number_of_attributes() -> None:
    """300 keys of metadata: 256 attributes, one of which tells how many are gone."""
    story = Story()
    event = story.event(story.start(), metadata={f"key{n}": n for n in range(300)})
    (span,) = sent(record(EVENT, event))
    found = attributes(span)
    assert len(found) == 256
    assert found["sessiontrace.attributes_cut"] > 40


def test_integers_over_64_bits_become_texts() -> None:
    """OTLP's intValue has a sign and 64 bits."""
    event = Story().event(Story().start(), metadata={"big": 2**63, "small": -(2**63)})
    (span,) = sent(record(EVENT, event))
    assert attributes(span)["sessiontrace.metadata.big"] == str(2**63)
    assert attributes(span)["sessiontrace.metadata.small"] == -(2**63)


def test_protobuf_says_what_json_says() -> None:
    """The official classes parse both encodings of the same records into equal messages."""
    pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
    import base64

    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    story = Story()
    start = story.start()
    failed = {"error": "E: x", "metadata": {"error": {"type": "E", "message": "x"}, "n": [1, "a"]}}
    records = [
        record(START, start),
        record(EVENT, story.model(start, **failed)),
        record(EVENT, story.event(start, metadata={"b": True, "f": 1.5, "i": 7, "s": "ü"})),
        late(start, feedback={"ok": True}),
        record(END, story.end(start)),
    ]
    (plain,) = deliver(OTLP, records).requests
    tree = orjson.loads(plain.body)
    for span in spans(plain):
        assert len(span["traceId"]) == 32
    for resource in tree["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):  # protobuf's JSON has base64
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    from_json = json_format.ParseDict(tree, ExportTraceServiceRequest())
    from support.exporters import PROTOBUF

    (encoded,) = deliver(PROTOBUF, records).requests
    assert ExportTraceServiceRequest.FromString(encoded.body) == from_json


@pytest.mark.parametrize(
    "body", [b"\x0a", b"\x0a\x05\x08", b"\x08\x01", b"\x0b", b"\x0d\x01", b"\x80" * 11]
)
def test_a_garbled_reply_in_protobuf_is_a_success_all_the_same(body: bytes) -> None:
    """The status said 200."""
    reply = Reply(200, {}, body)
    assert (
        OTLPExporter(protobuf=True).interpret(Request("POST", "", b"", (4, 5)), reply)
        == Delivered()
    )


def test_protobufs_partial_success_is_read_too() -> None:
    """The reply comes in the encoding of the request."""
    pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    reply = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="old")
    )
    request = Request("POST", "", b"", (4, 5))
    exporter = OTLPExporter(protobuf=True)
    verdict = exporter.interpret(request, Reply(200, {}, reply.SerializeToString()))
    assert verdict == Delivered({5: "1 of 2 spans rejected: old"})
    assert exporter.interpret(request, Reply(200, {}, b"\xff\xff")) == Delivered()
    assert exporter.content_type == "application/x-protobuf"


@pytest.mark.parametrize("protobuf", [False, True])
def test_the_resource_says_which_program_recorded(protobuf: bool) -> None:
    """Service, environment and SDK, and what the program adds, in both encodings."""
    of_program = {"service.version": "7", "service.name": "x"}
    exporter = OTLPExporter(protobuf=protobuf, resource=of_program)
    start = Story().start(source="prod")
    records = Records.of([record(START, start), record(EVENT, Story().event(start, source="prod"))])
    ((request,),) = exporter.encode(Batch(records))
    body = bytes(request.body)
    received, _ = from_protobuf(body) if protobuf else from_json(orjson.loads(body))
    assert received[0].resource == {
        "service.name": "shop",
        "service.version": "7",
        "telemetry.sdk.name": "sessiontrace",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": st.__version__,
        "deployment.environment.name": "prod",
    }
    assert received[0].scope == "sessiontrace"
    assert b"opentelemetry.io/schemas/gen-ai" in body


def test_attribute_limits_cut_and_count() -> None:
    """As OTel's variables say; the span says how many attributes are missing."""
    event = Story().event(Story().start(), metadata={f"key {n}": "x" * 99 for n in range(30)})
    exporter = OTLPExporter(limits=AttributeLimits(number=20, characters=10))
    ((request,),) = exporter.encode(Batch(Records.of([record(EVENT, event)])))
    (span,) = spans(request)
    found = attributes(span)
    assert len(found) == 20
    assert span["droppedAttributesCount"] == found["sessiontrace.attributes_cut"]
    assert found["sessiontrace.metadata.key 1"] == "x" * 10
