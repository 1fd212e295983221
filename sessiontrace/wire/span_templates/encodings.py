"""The two encodings of OTLP as templates need them."""

from __future__ import annotations

import struct

from sessiontrace.wire.otlp_json import json_pairs, json_span
from sessiontrace.wire.otlp_protobuf import protobuf_attributes, protobuf_span
from sessiontrace.wire.span_templates.template import SpanEncoding

__all__ = ["JSON", "PROTOBUF"]


def _hex(identifier: bytes) -> bytes:
    return identifier.hex().encode()


def _digits(moment_ns: int) -> bytes:
    return b"%d" % moment_ns


JSON = SpanEncoding(json_span, json_pairs, b",", _hex, _digits)
PROTOBUF = SpanEncoding(protobuf_span, protobuf_attributes, b"", bytes, struct.Struct("<Q").pack)
