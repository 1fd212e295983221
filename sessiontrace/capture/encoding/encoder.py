"""Any object to bounded JSON bytes; runs in the user's thread, at the moment of the call.

Two roads: a cheap look proves that a value is small and plain, then orjson takes it as it is; all
else takes the bounded walk. Invariant: ``encode`` returns valid JSON of at most ``cap`` bytes,
never raises an ``Exception``, never consumes an iterator, and leaves no reference to the value
behind.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import orjson

from sessiontrace.capture.encoding.fast_path import CAP, DEPTH, ROOM, classify
from sessiontrace.capture.encoding.safe_text import cut, kind_name, more
from sessiontrace.capture.encoding.walker import ITEMS, BoundedWalker
from sessiontrace.capture.redaction.clean_text_cache import NO_REDACTION, CleanTextCache

__all__ = [
    "CAP",
    "encode",
    "encode_and_check",
    "encode_object",
    "examine_object",
    "sanitize",
    "truncate_to",
]

_WALKED_ROOM = 1 << 30  # what the walk let pass is bounded already
_WALKED_DEPTH = 64
_MARK = 48  # bytes of the mark that a cut leaves

_dumps = orjson.dumps
_Fragment = orjson.Fragment


def encode(value: object, cap: int = CAP) -> bytes:
    """``value`` as JSON of at most ``cap`` bytes; what had to be cut carries a visible mark."""
    return encode_and_check(value, NO_REDACTION, cap)[0]


def encode_object(value: object, key: str) -> bytes:
    """As ``encode``, and what is no JSON object becomes ``{key: value}``."""
    return examine_object(value, key, NO_REDACTION)[0]


def encode_and_check(value: object, harmless: CleanTextCache, cap: int = CAP) -> tuple[bytes, bool]:
    """As ``encode``, and whether redaction must look: a text or a key in there is doubtful."""
    try:
        seen = classify(value, ROOM, DEPTH, harmless)
        if seen >= 0:
            encoded = _dumps(value)
            if len(encoded) <= cap:
                return encoded, seen > 0
    except Exception:  # orjson refuses it, or it changed under us: the walk decides
        pass
    try:
        plain = BoundedWalker().plain(value)
        encoded = truncate_to(plain, cap)
        return encoded, classify(plain, _WALKED_ROOM, _WALKED_DEPTH, harmless) != 0
    except Exception as error:  # RecursionError near the user's own limit, MemoryError
        return _unencodable(value, kind_name(type(error))), True


def examine_object(value: object, key: str, harmless: CleanTextCache) -> tuple[bytes, bool]:
    """As ``encode_object``, and whether redaction must look, as ``encode_and_check`` tells."""
    encoded, doubtful = encode_and_check(value, harmless)
    if encoded[0] != 123:  # b"{"
        encoded = b'{"%b":%b}' % (key.encode(), encoded)
    return encoded, doubtful


def sanitize(body: dict[str, Any]) -> dict[str, Any]:
    """A record's fields with everything that is not encoded yet sent down the slow road."""
    legal: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, dict):
            legal[name] = {
                orjson.loads(encode(key)): (
                    item if isinstance(item, _Fragment) else _Fragment(encode(item))
                )
                for key, item in value.items()
            }
        else:
            legal[name] = value if isinstance(value, _Fragment) else _Fragment(encode(value))
    return legal


def _unencodable(value: object, reason: str) -> bytes:
    return _dumps({"_unencodable": kind_name(type(value)), "reason": reason})


def truncate_to(plain: Any, cap: int) -> bytes:
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
