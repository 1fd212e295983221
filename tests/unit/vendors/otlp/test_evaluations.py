"""Scores as OTel's ``gen_ai.evaluation.result`` events, behind the spans that they rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from support.exporters import OTLP, Body, Delivery, Story, deliver, late, record, spans
from support.fake_backend import Backend, Seen, answer

import sessiontrace as st
from sessiontrace.config import resolve
from sessiontrace.export.protocol import Blocked, Reply, Request, Retry
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.vendors.otlp.evaluations import EvaluationRequests
from sessiontrace.vendors.otlp.exporter import OTLPExporter

LOGS = "/v1/logs"


def exporter(protobuf: bool = False) -> OTLPExporter:
    return OTLPExporter(protobuf=protobuf, scores=EvaluationRequests({}, protobuf=protobuf))


def events(body: bytes) -> list[dict[str, Any]]:
    """The log records of a request, as the official class reads them; attributes by name."""
    request = ExportLogsServiceRequest.FromString(body)
    return [
        {
            "name": log.event_name,
            "trace": log.trace_id.hex(),
            "span": log.span_id.hex(),
            "at": log.time_unix_nano,
            **{
                pair.key: getattr(pair.value, str(pair.value.WhichOneof("value")))
                for pair in log.attributes
            },
        }
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for log in scope.log_records
    ]


def of(delivery: Delivery, path: str) -> list[Request]:
    return [request for request in delivery.requests if request.path == path]


def scored(story: Story, start: Body, **fields: Any) -> list[Record]:
    return [record(START, start), record(EVENT, story.model(start, **fields))]


def test_each_score_is_an_event_about_its_span() -> None:
    """A number is the value, a text the label, a boolean both; a comment explains the score."""
    story = Story()
    start = story.start(session_id=story.id(), metadata={"service": "shop"})
    call = story.model(
        start,
        metadata={"response_id": "resp_7"},
        metrics={"quality": 0.5, "time_to_first_chunk_ms": 3, "cost": 1.5, "ok": True},
        feedback={"quality_comment": "too long", "tone": "warm", "marks": [1, 2]},
    )
    delivery = deliver(
        OTLP, [record(START, start), record(EVENT, call)], exporter=exporter(protobuf=True)
    )
    (request,) = of(delivery, LOGS)
    assert request.records == (1,)
    found = {event["gen_ai.evaluation.name"]: event for event in events(bytes(request.content))}
    assert {name: event.get("gen_ai.evaluation.score.value") for name, event in found.items()} == {
        "quality": 0.5,
        "ok": 1.0,
        "tone": None,
        "marks": None,
    }
    assert found["quality"]["gen_ai.evaluation.explanation"] == "too long"
    assert found["ok"]["gen_ai.evaluation.score.label"] == "true"
    assert found["tone"]["gen_ai.evaluation.score.label"] == "warm"
    assert found["marks"]["gen_ai.evaluation.explanation"] == "[1,2]"
    for event in found.values():
        assert event["name"] == "gen_ai.evaluation.result"
        assert event["trace"] == start["session_id"].replace("-", "")
        assert event["span"] == call["event_id"].replace("-", "")[16:]
        assert event["at"] == call["end_time"] * 1_000_000
        assert event["gen_ai.response.id"] == "resp_7"
        assert event["sessiontrace.event.id"] == call["event_id"]
        assert event["session.id"] == start["session_id"]
        assert event["user.id"] == "ada"
    assert len({event["log.record.uid"] for event in found.values()}) == 4


def test_json_and_protobuf_say_the_same() -> None:
    """One content in both forms; the spans keep their scores as attributes."""
    story = Story()
    start = story.start()
    records = [*scored(story, start, metrics={"quality": 0.5}), record(END, story.end(start))]
    as_json = deliver(OTLP, records, exporter=exporter())
    as_protobuf = deliver(OTLP, records, exporter=exporter(protobuf=True))
    (one,) = [
        log
        for resource in orjson.loads(of(as_json, LOGS)[0].body)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for log in scope["logRecords"]
    ]
    (other,) = events(of(as_protobuf, LOGS)[0].body)
    plain = {pair["key"]: next(iter(pair["value"].values())) for pair in one["attributes"]}
    assert {
        "name": one["eventName"],
        "trace": one["traceId"],
        "span": one["spanId"],
        "at": int(one["timeUnixNano"]),
        **plain,
    } == other
    keys = {pair["key"] for span in spans(as_json.requests[0]) for pair in span["attributes"]}
    assert "sessiontrace.metrics.quality" in keys


def test_a_late_score_is_about_the_span_that_it_rates() -> None:
    """The update is a span of its own below its target; its event names the target."""
    story = Story()
    start = story.start()
    call = story.model(start)
    rated = late(call, metrics={"quality": 0.5}, feedback={"quality_comment": "fine"})
    delivery = deliver(OTLP, [record(START, start), rated], exporter=exporter(protobuf=True))
    (request,) = of(delivery, LOGS)
    (event,) = events(request.body)
    assert event["span"] == call["event_id"].replace("-", "")[16:]
    again = deliver(OTLP, [record(START, start), rated], exporter=exporter(protobuf=True))
    (repeated,) = events(of(again, LOGS)[0].body)
    assert repeated["log.record.uid"] == event["log.record.uid"]
    another = late(call, metrics={"quality": 0.9})
    other = deliver(OTLP, [record(START, start), another], exporter=exporter(protobuf=True))
    assert events(of(other, LOGS)[0].body)[0]["log.record.uid"] != event["log.record.uid"]


def test_inputs_that_look_like_scores_are_none() -> None:
    """The quick look at the bytes finds a key of the inputs; nothing is sent for it."""
    story = Story()
    start = story.start()
    records = scored(story, start, inputs={"metrics": {"quality": 1}})
    delivery = deliver(OTLP, records, exporter=exporter())
    assert not of(delivery, LOGS)
    assert delivery.acked == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 422, 501])
def test_C34_a_backend_without_the_endpoint_gets_its_spans(status: int) -> None:
    """No span waits or is refused; where there is no such endpoint, it is asked once."""
    story = Story()
    start = story.start()
    one = exporter()

    def reply(request: Request) -> Reply | None:
        refused = request.path == LOGS and request.method == "POST"
        return Reply(status, {}, b"no such thing") if refused else None

    records = scored(story, start, metrics={"a": 1, "b": 2})
    first = deliver(OTLP, records, exporter=one, answer=reply)
    second = deliver(OTLP, records, exporter=one, answer=reply)
    for delivery in (first, second):
        assert (delivery.acked, delivery.rejected, delivery.setback) == (2, [], None)
    asked = [request.method for request in (*of(first, LOGS), *of(second, LOGS))]
    assert asked == ["POST", "NONE" if status in (404, 405, 415, 501) else "POST"]
    outcome = one.interpret(of(second, LOGS)[0], Reply(status, {}, b"no such thing"))
    assert getattr(outcome, "omitted", None) == 2
    assert "evaluations=False" in getattr(outcome, "reason", "")


def test_an_endpoint_that_fails_is_tried_a_few_times() -> None:
    """Scores wait for a hiccup; spans do not wait for a broken endpoint."""
    story = Story()
    one = exporter()
    down = {"answer": 503}

    def reply(request: Request) -> Reply | None:
        return Reply(down["answer"]) if request.path == LOGS and down["answer"] != 200 else None

    records = scored(story, story.start(), metrics={"a": 1})
    tries = 0
    while isinstance(deliver(OTLP, records, exporter=one, answer=reply).setback, Retry):
        tries += 1
    assert tries == 4
    assert deliver(OTLP, records, exporter=one, answer=reply).setback is None
    down["answer"] = 200
    assert deliver(OTLP, records, exporter=one, answer=reply).acked == 2
    down["answer"] = 503
    assert isinstance(deliver(OTLP, records, exporter=one, answer=reply).setback, Retry)


def test_spans_do_not_wait_an_hour_for_scores() -> None:
    """A backend that limits the rate of log events alone asks for a long wait."""
    story = Story()

    def reply(request: Request) -> Reply | None:
        return Reply(429, {"retry-after": "3600"}) if request.path == LOGS else None

    records = scored(story, story.start(), metrics={"a": 1})
    delivery = deliver(OTLP, records, exporter=exporter(), answer=reply)
    assert (delivery.acked, delivery.setback) == (2, None)


def test_scores_that_were_taken_vouch_for_no_span() -> None:
    """The endpoint for spans refuses every one: they stay, whatever the one for scores says."""
    story = Story()

    def reply(request: Request) -> Reply | None:
        return None if request.path == LOGS else Reply(400)

    records = scored(story, story.start(), metrics={"a": 1})
    delivery = deliver(OTLP, records, exporter=exporter(), answer=reply)
    assert isinstance(delivery.setback, Blocked)
    assert not delivery.rejected


@pytest.mark.parametrize("protobuf", [False, True])
def test_a_partial_success_is_counted(protobuf: bool) -> None:
    """So many log records were rejected: they are omitted, with the backend's words."""
    story = Story()
    records = scored(story, story.start(), metrics={"a": 1, "b": 2, "c": 3})
    one = exporter(protobuf)
    (request,) = of(deliver(OTLP, records, exporter=one), LOGS)
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = 2
    response.partial_success.error_message = "too many"
    body = (
        response.SerializeToString()
        if protobuf
        else b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too many"}}'
    )
    outcome = one.interpret(request, Reply(200, {}, body))
    assert getattr(outcome, "omitted", None) == 2
    assert "too many" in getattr(outcome, "reason", "")


def test_a_programs_scores_arrive_behind_their_spans(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over real sockets: set in the span, scored later, and a backend that knows spans only."""
    with Backend() as backend, Backend() as deaf:
        deaf.responder = lambda seen: answer(404 if seen.path == LOGS else 200)
        tracer = st.Tracer(
            st.OTLP(name="whole", endpoint=backend.url, headers={"api-key": "k"}),
            st.OTLP(name="deaf", endpoint=deaf.url),
            st.OTLP(name="off", endpoint=deaf.url, headers={"a": "b"}, evaluations=False),
            spool=tmp_path,
        )
        with tracer.session("chat"), tracer.span("step") as span:
            span.set(metrics={"early": 1})
        tracer.score("late", 0.5, session_id=span.session_id, event_id=span.event_id)
        assert tracer.flush(20).complete
        stats = tracer.stats().destinations
        tracer.shutdown(5)
        logs = [seen for seen in backend.requests if seen.path == LOGS]
    assert backend.requests[0].path == "/v1/traces"
    found = {event["gen_ai.evaluation.name"]: event for seen in logs for event in events(seen.body)}
    assert set(found) == {"early", "late"}
    assert {event["span"] for event in found.values()} == {span.event_id.replace("-", "")[16:]}
    assert {seen.headers["api-key"] for seen in logs} == {"k"}
    assert (stats["whole"].omitted, stats["deaf"].omitted, stats["off"].omitted) == (0, 2, 0)
    assert sum(seen.path == LOGS for seen in deaf.requests) == 1
    assert sum("evaluations=False" in message for message in caplog.messages) == 1


def test_logs_go_where_otels_variables_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint and headers of their own; while it is down, the spans go on."""
    with Backend() as traces, Backend() as logs:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{logs.url}/own/path")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "key=spans")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "key=logs")
        tracer = st.Tracer("otlp", spool=tmp_path)
        with tracer.session("chat"):
            tracer.score("quality", 0.5)
        assert tracer.flush(20).complete
        tracer.shutdown(5)

        def seen(backend: Backend) -> list[tuple[str, str]]:
            return [_where(request) for request in backend.requests]

        assert seen(traces) == [("/v1/traces", "spans")]
        assert seen(logs) == [("/own/path", "logs")]


def _where(seen: Seen) -> tuple[str, str]:
    return seen.path, seen.headers["key"]


def complete(env: dict[str, str], **arguments: Any) -> Any:
    (destination,), _ = resolve((st.OTLP(**arguments),), {}, env)
    return destination


def test_scores_are_sent_unless_a_variable_or_argument_says_otherwise() -> None:
    """``OTEL_LOGS_EXPORTER=none``; an argument wins; without an address nothing is sent."""
    assert complete({}).evaluations is True
    assert complete({"OTEL_LOGS_EXPORTER": "none"}).evaluations is False
    assert complete({"OTEL_LOGS_EXPORTER": "none"}, evaluations=True).evaluations is True
    assert complete({}, evaluations=False).evaluations is False
    exact = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:1/spans"}
    assert complete(exact).evaluations is False
    assert complete({}, endpoint="http://localhost:1/x/v1/traces").logs_url == (
        "http://localhost:1/x/v1/logs"
    )
    wrong = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://elsewhere.example/v1/logs"}
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
        complete({**wrong, "OTEL_EXPORTER_OTLP_HEADERS": "key=secret"})
