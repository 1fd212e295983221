"""Reading protobuf's wire format: a message as its fields, with no schema and no packages.

Pure functions. Source: protobuf.dev/programming-guides/encoding. Invariant: what is read is bounded
by the number of fields, so that no body keeps the server busy for long, and a field of another
wire type than expected is skipped like one that nobody knows, as the official readers do.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

__all__ = ["EIGHT", "FOUR", "PIECE", "VARINT", "GarbledError", "Reader", "TooManyError", "signed"]

VARINT, EIGHT, PIECE, FOUR = 0, 1, 2, 5
"""The wire types: a number, eight bytes, a length and so many bytes, four bytes."""

_FIELDS_MAX = 3_000_000
_SIZES = {EIGHT: 8, FOUR: 4}

Fields = dict[tuple[int, int], list[Any]]


class GarbledError(ValueError):
    """The bytes are no message."""


class TooManyError(ValueError):
    """The message has more fields than are read of one request."""


class Reader:
    """Reads the messages of one request, which share a limit."""

    def __init__(self, most: int = _FIELDS_MAX) -> None:
        self._left = most

    def fields(self, message: bytes) -> Fields:
        """What a message holds, by field number and wire type, in order.

        Values are int for ``VARINT`` (unsigned), bytes for all others.
        """
        found: Fields = defaultdict(list)
        at, end = 0, len(message)
        while at < end:
            tag, at = _varint(message, at)
            number, kind = tag >> 3, tag & 7
            if number == 0:
                raise GarbledError
            if kind == VARINT:
                value, at = _varint(message, at)
                found[number, kind].append(value)
                continue
            if kind == PIECE:
                size, at = _varint(message, at)
            elif (size := _SIZES.get(kind, -1)) < 0:
                raise GarbledError  # groups: no message of OpenTelemetry's ever had one
            if at + size > end:
                raise GarbledError
            found[number, kind].append(message[at : at + size])
            at += size
        self._left -= sum(map(len, found.values()))
        if self._left < 0:
            raise TooManyError
        return found


def signed(value: int) -> int:
    """A varint as the int64 that it stands for."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
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
                return value, at + 1
            shift += 7
            if shift > 63:
                raise GarbledError
    except IndexError as error:
        raise GarbledError from error
