"""The Python form of ``classify`` and ``encode_fast``: the specification; see ``fast_path``.

Runs in the user's thread. Invariant: what ``classify`` lets pass, ``orjson.dumps`` takes as it is,
in bounded time and without running any of the user's code.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import orjson

from sessiontrace.capture.encoding.media import MEDIA_MIN, is_media
from sessiontrace.capture.redaction.clean_text_cache import CleanTextCache
from sessiontrace.capture.redaction.key_names import KNOWN, all_keys_clean

CAP = 256 * 1024
"""Most bytes one part (inputs, outputs, one metadata value ...) takes, encoded."""

ROOM = 64 * 1024
"""What the fast road admits: characters, and 8 for every node."""

DEPTH = 20
"""Levels that the fast road admits."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_PLAIN = frozenset({int, float, bool, type(None), datetime.date, uuid.UUID})
_ZONES = frozenset({type(None), datetime.timezone})

_dumps = orjson.dumps
_known = KNOWN.issuperset


def classify(value: object, room: int, depth: int, harmless: CleanTextCache) -> int:
    """0 for a plain value, 1 when a text in it is doubtful, -1 when it is large, deep or not plain.

    ``room``: characters it may have, and 8 for every node; ``depth``: levels. A doubtful text is
    one that ``harmless`` may not let pass.
    """
    fresh: list[str] = []
    if _room_left(value, room, depth, harmless.known, fresh) < 0:
        return -1
    return 1 if fresh and harmless.needs_masking(fresh) else 0


def encode_fast(value: object, harmless: CleanTextCache) -> bytes | None:
    """A dict as JSON, if it is plain and nothing in it is doubtful: the usual case, in one step."""
    if type(value) is not dict:
        return None
    try:
        if classify(value, ROOM, DEPTH, harmless) != 0:
            return None
        encoded = _dumps(value)
    except Exception:  # orjson refuses it, or it changed under us
        return None
    return encoded if len(encoded) <= CAP else None


def _room_left(  # noqa: C901  the hottest loop, one frame
    value: Any, room: int, depth: int, known: set[int], fresh: list[str]
) -> int:
    """Room left after a value, negative when it does not pass; new texts are put to ``fresh``.

    Every node costs at least 8, so a graph that shares its nodes a million times ends soon too.
    """
    kind = type(value)
    if kind is dict:
        if not _known(value) and not all_keys_clean(value):
            return -1
        inner = value.values()
    elif kind is list or kind is tuple:
        inner = value
    else:
        return _single(value, kind, room, known, fresh)
    room -= 8 * len(value)
    if room < 0 or depth <= 0:
        return -1
    for item in inner:
        kind = type(item)
        if kind is str:
            room -= len(item)
            if room < 0:  # before the hash, which reads a new text whole
                return -1
            if hash(item) not in known:
                if len(item) >= MEDIA_MIN and is_media(item):
                    return -1
                fresh.append(item)
        elif (
            kind is dict
            and len(item) == 2
            and _known(item)
            and type(role := item.get("role")) is str
            and role in _ROLES
        ):  # a message of a chat: most of what is traced consists of them
            text = item.get("content")
            if type(text) is not str:
                room = _room_left(text, room, depth - 2, known, fresh) if "content" in item else -1
            else:
                room -= len(text)
                if room >= 0 and hash(text) not in known:
                    if len(text) >= MEDIA_MIN and is_media(text):
                        return -1
                    fresh.append(text)
            if room < 0:
                return -1
        elif kind not in _PLAIN:
            room = _room_left(item, room, depth - 1, known, fresh)
            if room < 0:
                return -1
    return room


def _single(value: Any, kind: type, room: int, known: set[int], fresh: list[str]) -> int:
    if kind is str:
        room -= len(value)
        if room >= 0 and hash(value) not in known:
            if len(value) >= MEDIA_MIN and is_media(value):
                return -1
            fresh.append(value)
        return room
    if kind is datetime.datetime:  # a time zone of the user's is code that orjson would run
        return room if type(value.tzinfo) in _ZONES else -1
    return room if kind in _PLAIN else -1
