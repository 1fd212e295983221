"""The frame: one record as a checked line of bytes, and the header that opens a segment.

Pure functions over bytes, called from every thread. ``write_frame`` and ``split_frames`` have two
forms: ``_frame_c``, compiled when the package is installed and a C compiler is there, and
``_frame_py``, which is the specification; both do the same. Invariant: what ``decode`` returns was
framed for this very segment of this very spool, whole; anything else gives None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import attrs
import orjson

from sessiontrace.model.record import Record
from sessiontrace.spool._frame_py import MAX_BODY

try:
    from sessiontrace.spool._frame_c import split_frames, write_frame
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.spool._frame_py import split_frames, write_frame

    COMPILED = False
    """Whether the compiled forms are in use."""
else:
    COMPILED = True

__all__ = [
    "COMPILED",
    "EVERYWHERE",
    "FORMAT",
    "MAX_BODY",
    "NAME",
    "Consumer",
    "Header",
    "Position",
    "damage",
    "decode",
    "decode_header",
    "encode",
    "encode_header",
    "head",
    "routed",
    "seed",
    "split_frames",
    "write_frame",
]

FORMAT = 1
"""Version of the layout. A segment of a newer one is left untouched."""

EVERYWHERE = b"*"
"""The route of a record that every destination gets."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
"""What a destination's name may look like, since it names a file."""

_HEADER = b" header * "
_BEGINNINGS = re.compile(rb"[0-9a-f]{8} [a-z]+ [*A-Za-z0-9_.,-]+ \{")


class Position(NamedTuple):
    """A place in a spool: a segment's number (from 1) and a byte offset in it."""

    segment: int
    offset: int


@attrs.frozen
class Consumer:
    """One destination that a segment's records are owed to.

    ``fingerprint``: differs when a destination of that name is another place.
    """

    name: str
    kind: str
    fingerprint: str


@attrs.frozen
class Header:
    """A segment's first line."""

    spool: str
    segment: int
    service: str
    pid: int
    consumers: tuple[Consumer, ...]
    format: int = FORMAT


def head(kind: bytes, route: bytes) -> bytes:
    """The part of a frame between the checksum and the body; there are few of them, so cache it."""
    return b" %b %b " % (kind, route)


def seed(spool_id: str, segment: int) -> int:
    """Where the checksum of each frame of a segment starts from."""
    return crc32(f"{spool_id}/{segment}".encode())


def encode(seed: int, head: bytes, body: bytes) -> bytes:
    """The frame of ``body``, which must have no line feed in it."""
    return b"%08x%b%b\n" % (crc32(body, crc32(head[1:], seed)), head, body)


def decode(line: bytes, seed: int) -> Record | None:
    """The record of a line (without its line feed), or None when the line is not sound."""
    if line[8:9] != b" " or b"%08x" % crc32(line[9:], seed) != line[:8]:
        return None
    parts = line[9:].split(b" ", 2)
    return Record(*parts) if len(parts) == 3 else None


def damage(line: bytes) -> int:
    """How many records an unsound line holds: two when the line feed between them is hit."""
    return max(1, len(_BEGINNINGS.findall(line)))


def routed(route: bytes, name: bytes) -> bool:
    """Whether a record with this route goes to the destination of this name."""
    return route == EVERYWHERE or name in route.split(b",")


def encode_header(header: Header) -> bytes:
    """The first line of a segment."""
    return encode(
        0,
        _HEADER,
        orjson.dumps(
            {
                "format": header.format,
                "spool": header.spool,
                "segment": header.segment,
                "service": header.service,
                "pid": header.pid,
                "destinations": [attrs.asdict(consumer) for consumer in header.consumers],
            }
        ),
    )


def decode_header(line: bytes) -> Header | None:
    """The header in a segment's first line (without its line feed), None when it is not sound.

    Of a newer format only ``format`` can be relied on; its destinations are left out.
    """
    record = decode(line, 0)
    if record is None or record.kind != b"header":
        return None
    try:
        fields = orjson.loads(record.body)
        if fields["format"] != FORMAT:
            return Header("", 0, "", 0, (), format=int(fields["format"]))
        return Header(
            spool=str(fields["spool"]),
            segment=int(fields["segment"]),
            service=str(fields["service"]),
            pid=int(fields["pid"]),
            consumers=_consumers(fields["destinations"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _consumers(fields: Sequence[dict[str, str]]) -> tuple[Consumer, ...]:
    consumers = (Consumer(item["name"], item["kind"], item["fingerprint"]) for item in fields)
    return tuple(consumer for consumer in consumers if NAME.match(consumer.name))
