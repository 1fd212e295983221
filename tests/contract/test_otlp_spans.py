"""The spans that we send: official protobuf, upstream's schemas, and the recorded attributes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from golden_program import Taped
from golden_spans import SCENES, recorded, records_of, spans_of
from support.genai_schemas import faults_of
from support.otlp_round_trip import bodies, received, sent, stored

from sessiontrace.model.record import OPEN, START

pytestmark = pytest.mark.contract

scenes = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)


@scenes
def test_a_scene_has_the_attributes_of_its_recording(scene: Callable[[Taped], None]) -> None:
    """Where a change is meant, ``python tests/golden_spans.py --record`` shows what it was."""
    assert spans_of(scene) == recorded(scene)


@scenes
def test_attributes_validate_against_the_schemas_of_the_conventions(
    scene: Callable[[Taped], None],
) -> None:
    """Messages, instructions, tool definitions and documents."""
    for span in received(bodies(records_of(scene), protobuf=True)[0], protobuf=True):
        assert faults_of(span.attributes) == []


@scenes
def test_the_official_protobuf_reads_what_our_reader_reads(scene: Callable[[Taped], None]) -> None:
    """No byte is unknown to it, and it writes the same bytes; times, ids and attributes agree."""
    pb2 = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    for body in bodies(records_of(scene), protobuf=True):
        request = pb2.ExportTraceServiceRequest.FromString(body)
        assert request.SerializeToString() == body
        official = [
            span
            for group in request.resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]
        for span, ours in zip(official, received(body, protobuf=True), strict=True):
            assert (span.trace_id.hex(), span.span_id.hex()) == (ours.trace_id, ours.span_id)
            assert (span.start_time_unix_nano, span.end_time_unix_nano) == (
                ours.start_ns,
                ours.end_ns,
            )
            assert {pair.key: plain(pair.value) for pair in span.attributes} == ours.attributes
            assert len(span.attributes) == len(ours.attributes) <= 256


def plain(value: Any) -> Any:
    """An official ``AnyValue`` as a Python value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind)


@scenes
def test_a_scene_is_stored_as_it_was_captured(scene: Callable[[Taped], None]) -> None:
    """Also what is more than a span has attributes for."""
    records = records_of(scene)
    here = stored([record for record in records if record.kind not in (START, OPEN)])
    for protobuf in (True, False):
        assert stored(sent(records, protobuf=protobuf).records) == here


def test_D25_spans_of_one_millisecond_lie_within_each_other_in_their_order() -> None:
    """Starts have nanoseconds, and an end is its start and its duration, to the nanosecond."""
    records = records_of(narrow, step_ns=1_001)
    (body,) = bodies(records, protobuf=True)
    spans = {span.name: span for span in received(body, protobuf=True)}
    assert len({span.start_ns // 1_000_000 for span in spans.values()}) == 1
    names = sorted(spans, key=lambda name: spans[name].start_ns)
    assert names == ["s", "outer", "first", "second"]
    for inner, outer in (("first", "outer"), ("second", "outer"), ("outer", "s")):
        assert spans[outer].start_ns < spans[inner].start_ns
        assert spans[inner].end_ns < spans[outer].end_ns
    for record in records:
        event = orjson.loads(record.body)
        if "duration" in event:
            span = spans[event["event_name"]]
            lasted = round(event["duration"] * 1_000_000)
            assert span.end_ns == span.start_ns + lasted
            assert span.start_ns % 1_000_000 == event["start_nanos"]


def narrow(shop: Taped) -> None:
    """Spans that take no time, as far as milliseconds go."""
    with shop.session("s"), shop.span("outer"):
        with shop.span("first"):
            pass
        with shop.span("second"):
            pass
