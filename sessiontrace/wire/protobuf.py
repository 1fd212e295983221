"""Protobuf's wire format, read and written without a schema and without packages.

Pure functions, no thread owns them. Source: protobuf.dev/programming-guides/encoding. A field is a
tag (its number times 8, plus its wire type) and a value. Invariant: the number of fields read of
one request is bounded, so that no body keeps the server busy for long; a field with an unexpected
wire type is skipped like an unknown field, as the official readers do.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

__all__ = [
    "BYTES",
    "EIGHT",
    "FIELDS_MAX",
    "SMALL",
    "VARINT",
    "GarbledError",
    "MessageReader",
    "TooManyFieldsError",
    "field",
    "last",
    "signed",
    "text",
    "varint",
]

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
"""The wire types: a number, eight bytes, a length with as many bytes, four bytes."""

FIELDS_MAX = 3_000_000
"""The most fields that are read of one request."""

_64_BITS = (1 << 64) - 1
_SIZES = {EIGHT: 8, FOUR: 4}

Fields = dict[tuple[int, int], list[Any]]


class GarbledError(ValueError):
    """The bytes are not a message."""


class TooManyFieldsError(ValueError):
    """The message has more fields than are read of one request."""


# -- writing --------------------------------------------------------------------------------

SMALL = tuple(bytes([number]) for number in range(128))
"""The varints of one byte, by number."""


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    if number < 128:
        return SMALL[number]
    if number < 1 << 14:
        return bytes((number & 127 | 128, number >> 7))
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(tag: bytes, value: bytes) -> bytes:
    """A field of wire type ``BYTES`` under an encoded tag."""
    return b"%b%b%b" % (tag, varint(len(value)), value)


# -- reading --------------------------------------------------------------------------------


class MessageReader:
    """Reads the messages of one request, which share a limit of fields."""

    def __init__(self, most: int = FIELDS_MAX) -> None:
        self._left = most

    def fields(self, message: bytes) -> Fields:
        """The fields of a message, by number and wire type, in order.

        Values are int for ``VARINT`` (unsigned), bytes for all others.
        """
        fields: Fields = defaultdict(list)
        at, end = 0, len(message)
        while at < end:
            tag, at = _read_varint(message, at)
            number, kind = tag >> 3, tag & 7
            if number == 0:
                raise GarbledError
            if kind == VARINT:
                value, at = _read_varint(message, at)
                fields[number, kind].append(value)
                continue
            if kind == BYTES:
                size, at = _read_varint(message, at)
            elif (size := _SIZES.get(kind, -1)) < 0:
                raise GarbledError  # groups: no message of OpenTelemetry's ever had one
            if at + size > end:
                raise GarbledError
            fields[number, kind].append(message[at : at + size])
            at += size
        self._left -= sum(map(len, fields.values()))
        if self._left < 0:
            raise TooManyFieldsError
        return fields


def last(values: list[Any], otherwise: Any) -> Any:
    """A field's value: of several, the last one counts."""
    return values[-1] if values else otherwise


def text(values: list[bytes]) -> str:
    """A field's text; bytes that are not UTF-8 become replacement characters."""
    return values[-1].decode(errors="replace") if values else ""


def signed(value: int) -> int:
    """A varint as the int64 that it encodes."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it."""
    try:
        byte = message[at]
        if byte < 128:
            return byte, at + 1
        value, shift = byte & 127, 7
        while True:
            at += 1
            byte = message[at]
            value |= (byte & 127) << shift
            if byte < 128:
                return value & _64_BITS, at + 1
            shift += 7
            if shift > 63:
                raise GarbledError
    except IndexError as error:
        raise GarbledError from error
