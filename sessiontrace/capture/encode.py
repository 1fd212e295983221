"""Any object to bounded JSON bytes; runs in the user's thread, at the moment of the call.

Two roads: a cheap look proves that a value is small and plain, then orjson takes it as it is; all
else takes the bounded walk. Invariant: ``encode`` returns valid JSON of at most ``cap`` bytes,
never raises an ``Exception``, never consumes an iterator, and leaves no reference to the value
behind.
"""

from __future__ import annotations

import datetime
import uuid
from itertools import islice
from typing import Any

import orjson

from sessiontrace.capture.keys import KNOWN, vetted
from sessiontrace.capture.media import MEDIA_MIN, is_media
from sessiontrace.capture.text import cut, kind_name, more
from sessiontrace.capture.walk import ITEMS, Walk

__all__ = [
    "CAP",
    "Doubtful",
    "encode",
    "encode_object",
    "examine",
    "examine_object",
    "shrink",
]

CAP = 256 * 1024
"""Most bytes one part (inputs, outputs, one metadata value ...) takes, encoded."""


class Doubtful(bytes):
    """Encoded bytes with a key in them that nobody has found harmless: redaction must look.

    ``bytes`` of it before anything else: orjson takes no subclass in a ``Fragment``.
    """

    __slots__ = ()


_ROOM = 64 * 1024  # what the fast road admits: characters, and 8 for every node
_LOOK_DEPTH = 20
_MARK = 48  # bytes of the mark that a cut leaves

_dumps = orjson.dumps
_known = KNOWN.issuperset

_PLAIN = frozenset({int, float, bool, type(None), datetime.date, uuid.UUID})
_ZONES = frozenset({type(None), datetime.timezone})


def encode(value: object, cap: int = CAP) -> bytes:
    """``value`` as JSON of at most ``cap`` bytes; what had to be cut carries a visible mark."""
    return bytes(examine(value, cap))


def encode_object(value: object, key: str) -> bytes:
    """As ``encode``, and what is no JSON object becomes ``{key: value}``."""
    return bytes(examine_object(value, key))


def examine(value: object, cap: int = CAP) -> bytes:
    """As ``encode``, but ``Doubtful`` when redaction must look at its keys."""
    try:
        if _look(value, _ROOM, _LOOK_DEPTH) >= 0:
            encoded = _dumps(value)
            if len(encoded) <= cap:
                return encoded
    except Exception:  # orjson refuses it, or it changed under us: the walk decides
        pass
    try:
        walk = Walk()
        encoded = shrink(walk.plain(value), cap)
        return Doubtful(encoded) if walk.doubtful else encoded
    except Exception as error:  # RecursionError near the user's own limit, MemoryError
        return _unencodable(value, kind_name(type(error)))


def examine_object(value: object, key: str) -> bytes:
    """As ``encode_object``, but ``Doubtful`` when redaction must look at its keys."""
    if type(value) is dict:
        try:
            # As in `examine`, for the usual case: this runs twice in every span.
            if _look(value, _ROOM, _LOOK_DEPTH) >= 0:
                encoded = _dumps(value)
                if len(encoded) <= CAP:
                    return encoded
        except Exception:
            pass
    encoded = examine(value)
    if encoded[0] == 123:  # b"{"
        return encoded
    named = b'{"%b":%b}' % (key.encode(), encoded)
    return Doubtful(named) if type(encoded) is Doubtful else named


def _look(value: Any, room: int, depth: int) -> int:  # noqa: C901  the hottest loop, one frame
    """Room left after a plain value, negative when it is large, deep or not plain.

    Every node costs at least 8, so a graph that shares its nodes a million times ends soon too.
    Dicts in a container are looked through on the spot: chats are lists of them.
    """
    kind = type(value)
    if kind is dict:
        if not _known(value) and not vetted(value):
            return -1
        inner = value.values()
    elif kind is list or kind is tuple:
        inner = value
    else:
        return _look_single(value, kind, room)
    room -= 8 * len(value)
    if room < 0 or depth <= 0:
        return -1
    for item in inner:
        kind = type(item)
        if kind is str:
            size = len(item)
            if size >= MEDIA_MIN and (size > room or is_media(item)):
                return -1
            room -= size
        elif kind is dict:
            room -= 8 * len(item)
            if room < 0 or not (_known(item) or vetted(item)):
                return -1
            for leaf in item.values():
                kind = type(leaf)
                if kind is str:
                    size = len(leaf)
                    if size >= MEDIA_MIN and (size > room or is_media(leaf)):
                        return -1
                    room -= size
                elif kind not in _PLAIN:
                    room = _look(leaf, room, depth - 2)
                    if room < 0:
                        return -1
        elif kind not in _PLAIN:
            room = _look(item, room, depth - 1)
            if room < 0:
                return -1
    return room


def _look_single(value: Any, kind: type, room: int) -> int:
    if kind is str:
        return room - len(value) if len(value) < MEDIA_MIN or not is_media(value) else -1
    if kind is datetime.datetime:  # a time zone of the user's is code that orjson would run
        return room if type(value.tzinfo) in _ZONES else -1
    return room if kind in _PLAIN else -1


def _unencodable(value: object, reason: str) -> bytes:
    return _dumps({"_unencodable": kind_name(type(value)), "reason": reason})


def shrink(plain: Any, cap: int) -> bytes:
    """A walked (or decoded) value within ``cap`` bytes: the longest texts are cut first."""
    encoded = _dumps(plain)
    if len(encoded) > cap:
        encoded, plain = _shorter_texts(plain, encoded, cap)
    most = ITEMS
    while len(encoded) > cap and most > 1:
        most //= 4
        plain = _cut_items(plain, most)
        encoded = _dumps(plain)
    if len(encoded) > cap:
        encoded = _unencodable(plain, f"over {cap} bytes")
    return encoded


def _shorter_texts(plain: Any, encoded: bytes, cap: int) -> tuple[bytes, Any]:
    """One length for the longest texts, found from their sizes, so that the whole fits."""
    whole = plain
    sizes = sorted(_text_sizes(plain), reverse=True)
    total, bulk = sum(sizes), len(encoded)
    # Characters to keep: as if each took a byte, unless most of them must take several.
    wanted = max(total - (bulk - cap) - 512, total * cap // bulk // 2)
    for _ in range(4):
        longest = max(64, _level(sizes, wanted))
        plain = _cut_texts(whole, longest)
        encoded = _dumps(plain)
        if len(encoded) <= cap or longest == 64:
            break
        each = max(1, (bulk - len(encoded)) // max(1, total - wanted))
        wanted -= (len(encoded) - cap) // each + 512
    return encoded, plain


def _level(sizes: list[int], wanted: int) -> int:
    """The length to cut the ``sizes`` (longest first) to, so that they add up to ``wanted``."""
    left = sum(sizes)
    for count, size in enumerate(sizes):
        # Here `count` texts are cut to `size` and marked, the rest of them (`left`) is as it was.
        spare = wanted - count * (size + _MARK) - left
        if spare >= 0:
            return size + spare // count if count else size
        left -= size
    return max(0, wanted // len(sizes) - _MARK) if sizes else 0


def _text_sizes(plain: Any) -> list[int]:
    if isinstance(plain, str):
        return [len(plain)] if len(plain) > 64 else []
    if isinstance(plain, dict):
        return [size for item in plain.values() for size in _text_sizes(item)]
    if isinstance(plain, list):
        return [size for item in plain for size in _text_sizes(item)]
    return []


def _cut_texts(plain: Any, longest: int) -> Any:
    if isinstance(plain, str):
        return cut(plain, longest)
    if isinstance(plain, dict):
        return {key: _cut_texts(item, longest) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_cut_texts(item, longest) for item in plain]
    return plain


def _cut_items(plain: Any, most: int) -> Any:
    if isinstance(plain, dict):
        kept = {key: _cut_items(item, most) for key, item in islice(plain.items(), most)}
        if len(plain) > most:
            kept["…"] = more(len(plain) - most, "keys")
        return kept
    if isinstance(plain, list):
        items = [_cut_items(item, most) for item in plain[:most]]
        if len(plain) > most:
            items.append(more(len(plain) - most, "items"))
        return items
    return plain
