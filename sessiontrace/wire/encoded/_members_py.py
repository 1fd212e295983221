"""The Python forms of ``members_of`` and ``items_of``: the specification; see ``members``."""

from __future__ import annotations

import re

__all__ = ["items_of", "members_of"]

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.DOTALL)
_KEY = re.compile(rb'"([^"\\]*)":')


def members_of(encoded: bytes) -> dict[bytes, bytes] | None:
    """The values of an object by key.

    None for anything else, and for an object with an escaped character in a key, with one key
    twice, or with spaces before a key.
    """
    pieces = _pieces(encoded, b"{}")
    if pieces is None:
        return None
    members: dict[bytes, bytes] = {}
    for piece in pieces:
        key = _KEY.match(piece)
        if key is None or key[1] in members:
            return None
        members[key[1]] = piece[key.end() :]
    return members


def items_of(encoded: bytes) -> list[bytes] | None:
    """The items of an array; None for anything else."""
    return _pieces(encoded, b"[]")


def _pieces(encoded: bytes, braces: bytes) -> list[bytes] | None:
    """What is between the commas of the outermost pair of braces."""
    if len(encoded) < 2 or encoded[0] != braces[0] or encoded[-1] != braces[1]:
        return None
    if len(encoded) == 2:
        return []
    pieces: list[bytes] = []
    start, depth, last = 1, 0, len(encoded) - 1
    for token in _TOKEN.finditer(encoded, 1, last):
        letter = token[0][:1]
        if letter in b"{[":
            depth += 1
        elif letter in b"}]":
            depth -= 1
        elif letter == b"," and depth == 0:
            pieces.append(encoded[start : token.start()])
            start = token.end()
    pieces.append(encoded[start:last])
    return pieces
