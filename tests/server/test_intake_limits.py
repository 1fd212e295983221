"""What the server does when it is sent more than it can take, or things that cannot be.

Exporters send again after 429 and 503, and say what a partial success refused; so the answers must
be these, and nothing else of a request may be lost.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.otlp_replicas import TRACES
from support.otlp_requests import START, log, logs, new_trace, request, span
from support.server_process import Served, serving

from sessiontrace.server.apis.langfuse.routes import Ingestion
from sessiontrace.server.apis.otlp import mapping
from sessiontrace.server.apis.otlp.log_records import convert_logs
from sessiontrace.store.folding import decode, fold
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_signals.log_reader import logs_from_json
from sessiontrace.wire.received_span import ReceivedSpan, UnreadableRequestError

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("limits") / "store.db") as served:
        yield served


def post(server: Served, path: str, body: Any) -> tuple[int, Any]:
    status, _, reply = server.request(
        path, "POST", json.dumps(body).encode(), Content_Type="application/json"
    )
    return status, json.loads(reply)


def half_sent(server: Served, path: str) -> socket.socket:
    """A connection that has sent 15 MiB of its body, and not the rest."""
    client = socket.create_connection(("127.0.0.1", server.port))
    client.settimeout(20)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {16 * MIB}\r\n\r\n"
    )
    with contextlib.suppress(OSError):  # the server may have answered already
        client.sendall(head.encode())
        client.sendall(b" " * (15 * MIB))
    return client


def test_E28_a_server_that_takes_in_too_much_asks_its_senders_to_come_again(server: Served) -> None:
    """503 with Retry-After, in the form of each API; once there is room it takes all."""
    clients = [half_sent(server, "/v1/traces") for _ in range(5)]
    try:
        (refused, *_), _, _ = select.select(clients, [], [], 20)  # the one that it reads last
        reply = refused.recv(4096)
        assert b" 503 " in reply.partition(b"\r\n")[0]
        assert b"Retry-After: 1" in reply
    finally:
        for client in clients:
            client.close()
    trace, session_id = new_trace()
    for _ in range(50):
        status, _ = post(server, "/v1/traces", request(span("later", trace)))
        if status == 200:
            break
    assert server.json(f"/api/sessions/{session_id}")["session"]["name"] == "later"


def test_E29_a_span_that_cannot_be_read_costs_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the fault is ours: the sender gets a count and a reason."""
    trace, _ = new_trace()
    received, _ = from_json(request(span("good", trace), span("bad", trace), span("fine", trace)))
    read = mapping.read_claiming_span

    def reading(step: ReceivedSpan, claim: Any) -> Any:
        if step.name == "bad":
            raise ZeroDivisionError
        return read(step, claim)

    monkeypatch.setattr(mapping, "read_claiming_span", reading)
    converted = mapping.convert(received)
    assert len(converted.records) == 2
    assert list(converted.reasons.values()) == [1]


def test_logs_of_hours_within_one_span_are_cut_and_say_so(server: Served) -> None:
    """A worker that logs within one span for a day must not make each write read all of them."""
    trace, session_id = new_trace()
    step = span("worker", trace)
    post(server, "/v1/traces", request(step))
    for part in range(3):
        notes = [log("", step, f"line {n}", at=n) for n in range(400 * part, 400 * part + 400)]
        assert post(server, "/v1/logs", logs(*notes))[0] == 200
    events = server.json(f"/api/sessions/{session_id}")["events"]
    event = server.json(f"/api/events/{events[0]['event_id']}")
    lines = [note["body"] for note in event["metadata"]["logs"]]
    assert lines == [f"line {n}" for n in range(1000)]
    assert event["metadata"]["logs_cut"] is True


def test_counts_beyond_64_bits_are_numbers_all_the_same(server: Served) -> None:
    """Their sum fits no integer of JSON's readers."""
    trace, _ = new_trace()
    most = 2**63 - 1
    usage = {"gen_ai.usage.input_tokens": most, "gen_ai.usage.output_tokens": most}
    status, reply = post(
        server, "/v1/traces",
        request(span("chat", trace, attributes={"gen_ai.request.model": "m", **usage, "n": 3})),
    )  # fmt: skip
    assert (status, reply) == (200, {})


# -- anything at all ------------------------------------------------------------------------

_NAMES = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.request.model", "input.value",
    "gen_ai.usage.input_tokens", "llm.input_messages.0.message.content", "traceloop.entity.input",
    "langfuse.observation.input", "langfuse.observation.usage_details", "ai.prompt.messages",
    "mlflow.spanInputs", "langsmith.metadata.session_id", "logfire.json_schema", "session.id",
    "gen_ai.tool.definitions", "sessiontrace.event.id", "sessiontrace.event.type", "tag.tags",
    "gen_ai.evaluation.score.value", "openinference.span.kind", "honeyhive_event_id", "metadata",
)  # fmt: skip
_LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.sampled_from(("", "x", "user", "[]", "{", '[{"role":"user","content":[{"text":5}]}]'))
)  # fmt: skip
_KEYS = st.sampled_from(("role", "content", "parts", "type", "text", "id", "model", "input", "0"))
_ANY = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3)
    | inner.map(lambda value: orjson.dumps(value).decode()),
    max_leaves=8,
)  # fmt: skip
_VALUES = _ANY.map(lambda value: {"stringValue": orjson.dumps(value).decode()}) | _ANY | (
    st.builds(lambda value: {"arrayValue": {"values": [value]}}, _ANY)
)  # fmt: skip
_TIMES = st.sampled_from((str(START), 0, "0", None, "x", -5, 2**64 - 1, str(START - 10**18), 1.5))


def _attributes(chooser: random.Random, values: list[Any]) -> Any:
    return [{"key": chooser.choice(_NAMES), "value": value} for value in values]


@pytest.mark.timeout(60)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    values=st.lists(_VALUES, min_size=8, max_size=8),
    times=st.lists(_TIMES, min_size=4, max_size=4),
    bodies=st.lists(st.dictionaries(st.sampled_from(
        ("id", "traceId", "name", "input", "output", "usage", "usageDetails", "metadata", "tags",
         "startTime", "endTime", "value", "sessionId", "model", "level", "parentObservationId")
    ), _ANY, max_size=6), max_size=4), seed=st.integers(0, 999), odd=_ANY,
)  # fmt: skip
def test_E30_no_content_of_a_request_is_an_error_of_the_server(
    values: list[Any], times: list[Any], bodies: list[Any], seed: int, odd: Any
) -> None:
    """Deep, wrong, doubled and impossible values, where each attribute, time and id may be."""
    chooser = random.Random(seed)
    step = span("step", TRACES[0], spanId=f"{chooser.randint(1, 3):016x}")
    step |= {"attributes": _attributes(chooser, values[:4]), "startTimeUnixNano": times[0],
             "endTimeUnixNano": times[1]}  # fmt: skip
    event = {"name": "gen_ai.choice", "attributes": _attributes(chooser, values[4:6])}
    second = {**span("other", TRACES[0]), "events": [event], "parentSpanId": step["spanId"],
              chooser.choice([*step]): odd}  # fmt: skip
    record = {**log(chooser.choice(("gen_ai.choice", "gen_ai.evaluation.result", "")), step),
              "attributes": _attributes(chooser, values[6:]), "timeUnixNano": times[2],
              "body": values[0]}  # fmt: skip
    records = []
    try:
        converted = mapping.convert(from_json(request(step, second))[0])
        assert not [reason for reason in converted.reasons if "cannot read" in reason]
        records += converted.records
        written = convert_logs(logs_from_json(logs(record))[0])
        assert not [reason for reason in written.rejected if "cannot read" in reason]
        records += written.assembly.records
    except UnreadableRequestError:
        pass
    ingestion = Ingestion()
    for body in [*bodies, odd]:
        kind = chooser.choice(("trace-create", "generation-update", "span-create", "score-create"))
        ingestion.take({"id": "e", "type": kind, "body": body})
    records += ingestion.assembled().records
    assert len(ingestion.successes) + len(ingestion.errors) == len(bodies) + 1
    sessions: dict[str, Any] = {}
    events: dict[str, Any] = {}
    for record_to_fold in records:
        decoded = decode(record_to_fold)
        assert not isinstance(decoded, str), decoded
        fold(decoded, sessions, events)
