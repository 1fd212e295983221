"""The Python form of ``entries_of``: the specification; see ``flat_metadata``."""

from __future__ import annotations

import re

__all__ = ["ENTRIES_MAX", "FLAG", "FLOAT", "INT", "TEXT", "entries_of"]

TEXT, INT, FLOAT, FLAG = range(4)
"""The kinds of values."""

ENTRIES_MAX = 32
_ENTRY = re.compile(
    rb'[{,]"([^"\\]*)":(?:"([^"\\]*)"'
    rb"|(-?[0-9]+(?![0-9.eE]))"
    rb"|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    rb"|(true|false))"
)


def entries_of(encoded: bytes) -> list[tuple[bytes, int, bytes]] | None:
    """Each entry's key, kind and value, without quotes.

    None for another object: an empty one, one with more than 32 entries or with one key twice, and
    one with an escaped character, a null, a list, or an integer of more than 18 digits.
    """
    entries: list[tuple[bytes, int, bytes]] = []
    at, last = 0, len(encoded) - 1
    while at < last:
        entry = _ENTRY.match(encoded, at)
        if entry is None or len(entries) == ENTRIES_MAX or (at == 0) != (encoded[at] == 0x7B):
            return None
        kind = (entry.lastindex or 0) - 2
        key, value = entry[1], entry[kind + 2]
        if kind == INT and (len(value.lstrip(b"-")) > 18 or value == b"-0"):
            return None
        entries.append((key, kind, value))
        at = entry.end()
    if at != last or encoded[last:] != b"}" or len({key for key, _, _ in entries}) < len(entries):
        return None
    return entries or None
