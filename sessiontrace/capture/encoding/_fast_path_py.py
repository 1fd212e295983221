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
from sessiontrace.capture.redaction.clean_text_cache import CLEAN_KEYS, KEY_MAX, CleanTextCache
from sessiontrace.runtime.signals import raise_if_from_signal

CAP = 256 * 1024
"""Most bytes one part (inputs, outputs, one metadata value ...) takes, encoded."""

ROOM = 64 * 1024
"""What the fast path admits: characters, and 8 for every node."""

DEPTH = 20
"""Levels that the fast path admits."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_SCALARS = frozenset({int, float, bool, type(None), datetime.date, uuid.UUID})
_SAFE_ZONES = frozenset({type(None), datetime.timezone})

_dumps = orjson.dumps
_are_clean = CLEAN_KEYS.issuperset


def classify(value: object, room: int, depth: int, clean_texts: CleanTextCache) -> int:
    """0 for a plain value, 1 for a plain value that needs redaction, -1 for any other value.

    ``room``: characters it may have, and 8 for every node; ``depth``: levels.
    """
    fresh: list[str | dict[Any, Any]] = []
    if _room_left(value, room, depth, clean_texts.hashes, fresh) < 0:
        return -1
    return 1 if fresh and clean_texts.needs_masking(fresh) else 0


def encode_fast(value: object, clean_texts: CleanTextCache) -> bytes | None:
    """A dict as JSON if it is plain and needs no redaction, which is the usual case; else None."""
    if type(value) is not dict:
        return None
    try:
        if classify(value, ROOM, DEPTH, clean_texts) != 0:
            return None
        encoded = _dumps(value)
    except Exception as error:  # orjson refuses it, or another thread changed it
        raise_if_from_signal(error)
        return None
    return encoded if len(encoded) <= CAP else None


def _room_left(  # noqa: C901  the hottest loop, in one frame
    value: Any, room: int, depth: int, clean: set[int], fresh: list[str | dict[Any, Any]]
) -> int:
    """Room left after a value, negative when the value is not plain.

    Texts that are not known to be clean, and dicts with keys that are not, are added to ``fresh``.
    Every node costs at least 8, so a graph that shares its nodes a million times ends soon too.
    """
    kind = type(value)
    if kind is dict:
        if room < 8 * len(value):  # before the keys, each of which is looked at
            return -1
        if not _are_clean(value):
            if not _are_short_texts(value):
                return -1
            fresh.append(value)
        inner = value.values()
    elif kind is list or kind is tuple:
        inner = value
    else:
        return _room_left_by_leaf(value, kind, room, clean, fresh)
    room -= 8 * len(value)
    if room < 0 or depth <= 0:
        return -1
    for item in inner:
        kind = type(item)
        if kind is str:
            room -= len(item)
            if room < 0:  # before the hash, which reads a new text whole
                return -1
            if hash(item) not in clean:
                if len(item) >= MEDIA_MIN and is_media(item):
                    return -1
                fresh.append(item)
        elif (
            kind is dict
            and len(item) == 2
            and _are_clean(item)
            and type(role := item.get("role")) is str
            and role in _ROLES
        ):  # a message of a chat: most of what is traced consists of them
            text = item.get("content")
            if type(text) is not str:
                room = _room_left(text, room, depth - 2, clean, fresh) if "content" in item else -1
            else:
                room -= len(text)
                if room >= 0 and hash(text) not in clean:
                    if len(text) >= MEDIA_MIN and is_media(text):
                        return -1
                    fresh.append(text)
            if room < 0:
                return -1
        elif kind not in _SCALARS:
            room = _room_left(item, room, depth - 1, clean, fresh)
            if room < 0:
                return -1
    return room


def _room_left_by_leaf(
    value: Any, kind: type, room: int, clean: set[int], fresh: list[str | dict[Any, Any]]
) -> int:
    if kind is str:
        room -= len(value)
        if room >= 0 and hash(value) not in clean:
            if len(value) >= MEDIA_MIN and is_media(value):
                return -1
            fresh.append(value)
        return room
    if kind is datetime.datetime:  # orjson would run the code of a time zone of the user's
        return room if type(value.tzinfo) in _SAFE_ZONES else -1
    return room if kind in _SCALARS else -1


def _are_short_texts(keys: dict[Any, Any]) -> bool:
    for key in keys:  # noqa: SIM110  a generator would cost a frame a key
        if type(key) is not str or len(key) > KEY_MAX:
            return False
    return True
