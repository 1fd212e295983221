"""Truncation: a decoded value, or the largest fields of a record, cut to a number of bytes; pure.

Runs in whichever thread encodes the record. Invariant: what fits is left as it is, so truncating a
truncated record changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import orjson

from sessiontrace.capture.encoding.safe_text import cut, kind_name, omitted
from sessiontrace.capture.encoding.walker import ITEMS

__all__ = ["truncate_largest", "truncate_to", "unencodable"]

_MARK = 48  # bytes of the mark that a cut leaves

_dumps = orjson.dumps


def truncate_largest(
    fields: Mapping[str, Any], sizes: Mapping[str, int], room: int
) -> dict[str, bytes]:
    """The encoded forms of those ``fields`` that must be cut so that all fit into ``room`` bytes.

    ``sizes``: the encoded size of each field that may be cut. A field below an equal share of the
    room stays whole; the others divide what such fields leave.
    """
    fair = max(0, room) // max(1, len(sizes))
    large = [name for name, size in sizes.items() if size > fair]
    small = sum(size for size in sizes.values() if size <= fair)
    return {name: truncate_to(fields[name], max(0, room - small) // len(large)) for name in large}


def truncate_to(plain: Any, cap: int) -> bytes:
    """A walked or decoded value as JSON of at most ``cap`` bytes; long texts are cut first."""
    encoded = _dumps(plain)
    if len(encoded) > cap:
        encoded, plain = _shorter_texts(plain, encoded, cap)
    longest = ITEMS
    while len(encoded) > cap and longest > 1:
        longest //= 4
        plain = _cut_items(plain, longest)
        encoded = _dumps(plain)
    if len(encoded) > cap:
        encoded = unencodable(plain, f"over {cap} bytes")
    return encoded


def _shorter_texts(plain: Any, encoded: bytes, cap: int) -> tuple[bytes, Any]:
    """Cut the longest texts to one length, computed from their sizes, so that the whole fits."""
    whole = plain
    sizes = sorted(_text_sizes(plain), reverse=True)
    total, bulk = sum(sizes), len(encoded)
    # Characters to keep: as if each took a byte, unless most of them must take several.
    budget = max(total - (bulk - cap) - 512, total * cap // bulk // 2)
    for _ in range(4):
        longest = max(64, _level(sizes, budget))
        plain = _cut_texts(whole, longest)
        encoded = _dumps(plain)
        if len(encoded) <= cap or longest == 64:
            break
        bytes_a_character = max(1, (bulk - len(encoded)) // max(1, total - budget))
        budget -= (len(encoded) - cap) // bytes_a_character + 512
    return encoded, plain


def _level(sizes: list[int], budget: int) -> int:
    """The length to cut the ``sizes`` (longest first) to, so that they add up to ``budget``."""
    left = sum(sizes)
    for count, size in enumerate(sizes):
        # Invariant: the `count` longest texts are cut to `size` and marked, the others (`left`
        # characters) are whole.
        spare = budget - count * (size + _MARK) - left
        if spare >= 0:
            return size + spare // count if count else size
        left -= size
    return max(0, budget // len(sizes) - _MARK) if sizes else 0


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
        items = {key: _cut_items(item, most) for key, item in islice(plain.items(), most)}
        if len(plain) > most:
            items["…"] = omitted(len(plain) - most, "keys")
        return items
    if isinstance(plain, list):
        values = [_cut_items(item, most) for item in plain[:most]]
        if len(plain) > most:
            values.append(omitted(len(plain) - most, "items"))
        return values
    return plain


def unencodable(value: object, reason: str) -> bytes:
    """The object that replaces a value of which nothing can be recorded."""
    return _dumps({"unencodable": kind_name(type(value)), "reason": reason})
