"""The two encodings of OTLP as templates need them."""

from __future__ import annotations

import struct
from binascii import hexlify

from sessiontrace.wire.otlp_json import json_pairs, json_span
from sessiontrace.wire.otlp_protobuf import protobuf_attributes, protobuf_item, protobuf_span
from sessiontrace.wire.span_templates.template import SpanEncoding

__all__ = ["JSON", "PROTOBUF"]


_time = struct.Struct("<Q").pack


def _json(
    trace: bytes, span: bytes, parent_span: bytes, start: int, end: int
) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    trace, span, parent_span = hexlify(trace), hexlify(span), hexlify(parent_span)
    return trace, span, parent_span, b"%d" % start, b"%d" % end


def _protobuf(
    trace: bytes, span: bytes, parent_span: bytes, start: int, end: int
) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    return trace, span, parent_span, _time(start), _time(end)


def _json_item(span: bytes) -> bytes:
    return span


JSON = SpanEncoding(json_span, json_pairs, b",", _json, _json_item, False)
PROTOBUF = SpanEncoding(protobuf_span, protobuf_attributes, b"", _protobuf, protobuf_item, True)
