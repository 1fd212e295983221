"""The Python form of ``key_values``: the specification; see ``key_values``.

Source of the field numbers: opentelemetry-proto 1.x (``common.proto``).
"""

from __future__ import annotations

import functools
import struct
from typing import Any

from sessiontrace.wire.protobuf import field, varint

__all__ = ["any_value", "key_values"]

_DOUBLE = struct.Struct("<Bd")
_LARGEST = (1 << 64) - 1


def key_values(tag: bytes, attributes: dict[str, Any]) -> bytes:
    """``KeyValue`` messages under ``tag``; bytes are texts in UTF-8."""
    return b"".join([_pair(tag, key, value) for key, value in attributes.items()])


def _pair(tag: bytes, key: str, value: Any) -> bytes:
    name = _name(key)
    encoded = any_value(value)
    size = varint(len(encoded))
    return b"%b%b%b\x12%b%b" % (
        tag,
        varint(len(name) + 1 + len(size) + len(encoded)),
        name,
        size,
        encoded,
    )


@functools.lru_cache(maxsize=1024)
def _name(key: str) -> bytes:
    return field(b"\x0a", key.encode())


def any_value(value: Any) -> bytes:
    """An ``AnyValue`` message: a text, bool, integer, float or a list of these."""
    if isinstance(value, str):
        return field(b"\x0a", value.encode())
    if isinstance(value, bytes):
        return field(b"\x0a", value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value & _LARGEST)
    if isinstance(value, float):
        return _DOUBLE.pack(0x21, value)
    return field(b"\x2a", b"".join([field(b"\x0a", any_value(item)) for item in value]))
