"""OTLP in protobuf is read without protobuf: the official classes say what is in each request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.patience import patience
from support.subprocesses import environment

from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_partial_success import write_partial_success
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf
from sessiontrace.wire.protobuf import MessageReader, TooManyFieldsError
from sessiontrace.wire.received_span import UnreadableRequestError

service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
from google.protobuf import json_format  # noqa: E402

NS = 1_790_000_000_000_000_000


def pairs(inner: Any, *, unique: bool = False) -> Any:
    pair = st.fixed_dictionaries({"key": st.text(min_size=1, max_size=8), "value": inner})
    return st.lists(pair, max_size=3, unique_by=(lambda pair: pair["key"]) if unique else None)


names = st.text(max_size=8)
times = st.integers(0, 2**63)
ids = st.binary(min_size=8, max_size=8)
scalars = st.one_of(
    st.fixed_dictionaries({"stringValue": st.text(max_size=20)}),
    st.fixed_dictionaries({"boolValue": st.booleans()}),
    st.fixed_dictionaries({"intValue": st.integers(-(2**63), 2**63 - 1)}),
    st.fixed_dictionaries({"doubleValue": st.floats(allow_nan=False, allow_infinity=False)}),
    st.just({}),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"arrayValue": st.fixed_dictionaries({"values": st.lists(inner, max_size=3)})}
        ),
        st.fixed_dictionaries(
            {"kvlistValue": st.fixed_dictionaries({"values": pairs(inner, unique=True)})}
        ),
    ),
    max_leaves=6,
)


spans = st.fixed_dictionaries(
    {
        "name": names,
        "startTimeUnixNano": times,
        "endTimeUnixNano": times,
        "attributes": pairs(values),
        "events": st.lists(
            st.fixed_dictionaries({"name": names, "attributes": pairs(scalars)}), max_size=2
        ),
        "status": st.fixed_dictionaries({"message": names, "code": st.integers(0, 2)}),
        "kind": st.integers(0, 5),
        "traceState": names,
        "flags": st.integers(0, 2**32 - 1),
        "droppedAttributesCount": st.integers(0, 2**32 - 1),
    }
)
requests = st.lists(
    st.fixed_dictionaries(
        {
            "resource": st.fixed_dictionaries({"attributes": pairs(scalars)}),
            "scopeSpans": st.lists(
                st.fixed_dictionaries(
                    {
                        "scope": st.fixed_dictionaries({"name": names, "version": names}),
                        "spans": st.lists(spans, max_size=3),
                    }
                ),
                max_size=2,
            ),
        }
    ),
    max_size=2,
)


def official(groups: Any, trace_id: bytes = b"\x11" * 16, span_id: bytes = b"\x22" * 8) -> Any:
    """The request as the official classes have it; every span with these ids."""
    request = service.ExportTraceServiceRequest()
    json_format.ParseDict({"resourceSpans": groups}, request)
    for group in request.resource_spans:
        for scoped in group.scope_spans:
            for span in scoped.spans:
                span.trace_id, span.span_id = trace_id, span_id
    return request


def plain(spans: tuple[list[Any], int]) -> tuple[list[dict[str, Any]], int]:
    return [attrs.asdict(span) for span in spans[0]], spans[1]


@settings(max_examples=60, deadline=None)
@given(given_spans=requests, span_id=ids)
def test_it_reads_what_the_official_classes_wrote(given_spans: Any, span_id: bytes):
    """The same spans as those of the same request in JSON, read by the other reader."""
    request = official(given_spans, span_id=span_id)
    in_json = json_format.MessageToDict(request)
    assert plain(from_protobuf(request.SerializeToString())) == plain(from_json(in_json))


@settings(max_examples=60, deadline=None)
@given(one=requests, two=requests)
def test_requests_put_together_are_one_request(one: Any, two: Any):
    """Protobuf's rule for a message that comes twice; proxies make use of it."""
    body = official(one).SerializeToString() + official(two).SerializeToString()
    merged = service.ExportTraceServiceRequest.FromString(body)
    assert plain(from_protobuf(body)) == plain(from_json(json_format.MessageToDict(merged)))


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200))
def test_what_is_no_message_is_refused_and_nothing_else_happens(body: bytes):
    """Where the official parser takes bytes, so do we; text that is no UTF-8 is the exception."""
    try:
        from_protobuf(body)
        readable = True
    except UnreadableRequestError:
        readable = False
    try:
        service.ExportTraceServiceRequest.FromString(body)
    except Exception:
        return
    assert readable or _has_group(body)


def _has_group(body: bytes) -> bool:
    """Groups are long out of use; a byte that could begin or end one is in the message."""
    return any(byte & 7 in (3, 4) for byte in body)


def test_a_request_cut_anywhere_is_refused_or_shorter():
    """A connection that broke must not become half a span."""
    span = {"name": "think", "startTimeUnixNano": NS, "endTimeUnixNano": NS + 5}
    body = official([{"scopeSpans": [{"spans": [span, span]}]}]).SerializeToString()
    whole, _ = from_protobuf(body)
    assert [span.name for span in whole] == ["think", "think"]
    for end in range(1, len(body)):
        with pytest.raises(UnreadableRequestError):
            from_protobuf(body[:end])


@pytest.mark.parametrize(
    ("trace_id", "span_id"), [(b"", b"\x22" * 8), (b"\x11" * 16, b""), (bytes(16), b"\x22" * 8)]
)
def test_spans_without_ids_are_counted(trace_id: bytes, span_id: bytes):
    """And the answer tells how many, in the official message."""
    request = official([{"scopeSpans": [{"spans": [{"name": "x"}] * 3}]}], trace_id, span_id)
    assert plain(from_protobuf(request.SerializeToString())) == ([], 3)
    told = service.ExportTraceServiceResponse.FromString(
        write_partial_success(300, "spans without ids")
    )
    assert told.partial_success.rejected_spans == 300
    assert told.partial_success.error_message == "spans without ids"


def test_the_number_of_parts_is_bounded():
    """16 MiB hold eight million fields of two bytes; reading them all would take seconds."""
    with pytest.raises(TooManyFieldsError):
        MessageReader(1000).fields(b"\x08\x01" * 1001)
    deep = b""
    for _ in range(500):
        deep = b"\x2a" + _sized(b"\x0a" + _sized(deep))
    attribute = b"\x4a" + _sized(b"\x0a\x01k\x12" + _sized(deep))
    span = b"\x0a\x10" + b"\x11" * 16 + b"\x12\x08" + b"\x22" * 8 + attribute
    body = b"\x0a" + _sized(b"\x12" + _sized(b"\x12" + _sized(span)))
    ((received,), _) = from_protobuf(body)
    assert str(received.attributes["k"]).count("[") == 16


def _sized(body: bytes) -> bytes:
    size, number = b"", len(body)
    while number > 127:
        size += bytes([number & 127 | 128])
        number >>= 7
    return size + bytes([number]) + body


def test_no_package_is_needed_for_it(tmp_path: Path):
    """Who installs only sessiontrace can send what every OpenTelemetry SDK sends by default."""
    program = (
        "import sys; sys.modules['opentelemetry'] = sys.modules['google'] = None\n"
        "import sessiontrace.server.app\n"
        "from sessiontrace.wire.otlp_protobuf_reader import from_protobuf\n"
        "print(from_protobuf(b''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path), capture_output=True, text=True, timeout=patience(50), check=True,
    )  # fmt: skip
    assert done.stdout == "([], 0)\n"
