"""Any object to bounded JSON bytes; runs in the user's thread, at the moment of the call.

There are two paths: orjson encodes a plain value as it is (``fast_path``), and a bounded walk makes
any other value plain first (``walker``). Invariant: ``encode`` returns valid JSON of at most
``cap`` bytes, never raises an ``Exception``, never consumes an iterator, and leaves no reference to
the value behind.
"""

from __future__ import annotations

import orjson

from sessiontrace.capture.encoding.fast_path import CAP, DEPTH, ROOM, classify
from sessiontrace.capture.encoding.safe_text import kind_name
from sessiontrace.capture.encoding.truncate import truncate_to, unencodable
from sessiontrace.capture.encoding.walker import BoundedWalker
from sessiontrace.capture.redaction.clean_text_cache import NO_REDACTION, CleanTextCache
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = [
    "CAP",
    "encode",
    "encode_and_check",
    "encode_object",
    "encode_object_and_check",
]

_WALKED_ROOM = 1 << 30  # the walk has bounded the value already
_WALKED_DEPTH = 64

_dumps = orjson.dumps


def encode(value: object, cap: int = CAP) -> bytes:
    """``value`` as JSON of at most ``cap`` bytes; a cut leaves a visible mark."""
    return encode_and_check(value, NO_REDACTION, cap)[0]


def encode_object(value: object, key: str) -> bytes:
    """As ``encode``; a value that is not a JSON object becomes ``{key: value}``."""
    return encode_object_and_check(value, key, NO_REDACTION)[0]


def encode_and_check(
    value: object, clean_texts: CleanTextCache, cap: int = CAP
) -> tuple[bytes, bool]:
    """As ``encode``, and whether the value needs redaction: a key or text in it must be masked."""
    try:
        answer = classify(value, ROOM, DEPTH, clean_texts)
        if answer >= 0:
            encoded = _dumps(value)
            if len(encoded) <= cap:
                return encoded, answer > 0
    except Exception as error:  # orjson refuses it, or another thread changed it: walk it
        raise_if_from_signal(error)
    try:
        plain = BoundedWalker().plain(value)
        encoded = truncate_to(plain, cap)
        return encoded, classify(plain, _WALKED_ROOM, _WALKED_DEPTH, clean_texts) != 0
    except Exception as error:  # RecursionError near the user's own limit, MemoryError
        raise_if_from_signal(error)
        return unencodable(value, kind_name(type(error))), True


def encode_object_and_check(
    value: object, key: str, clean_texts: CleanTextCache
) -> tuple[bytes, bool]:
    """As ``encode_object``, and whether the value needs redaction."""
    encoded, needs_redaction = encode_and_check(value, clean_texts)
    if encoded[0] != 123:  # b"{"
        encoded = b'{"%b":%b}' % (key.encode(), encoded)
    return encoded, needs_redaction
