"""Encoded entries of a chat as encoded messages of OTel's GenAI conventions.

Pure functions, no thread owns them. A chat grows: each call repeats the entries of the calls before
it. So what an entry comes to is remembered by its bytes. Invariant: memory is bounded, and an
entry comes to what ``message_of``, ``entry_of`` and ``differences`` give for it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from sessiontrace.wire import model_call
from sessiontrace.wire.encoded.plain_chat import plain_messages
from sessiontrace.wire.roundtrip.changes import Changes, differences
from sessiontrace.wire.roundtrip.chat_entries import Layout, entry_of, message_of

__all__ = ["ConvertedEntry", "converted_entry"]

_TEXT = b'{"role":"%b","parts":[{"type":"text","content":%b}]}'
_RESPONSE = b'{"role":"%b","parts":[{"type":"tool_call_response","response":%b}]}'
_SMALL, _LARGE = 4096, 65_536
"""Bytes of the entries in the two memories. Each holds 4 MiB at most, the messages included."""


class ConvertedEntry(NamedTuple):
    """One entry. ``message``: encoded. ``changes``: of paths within the entry.

    ``is_message``: the entry is a message itself, not an item of OpenAI's Responses API.
    ``has_calls``: of tools. ``has_reason``: the message has a finish reason of its own.
    """

    message: bytes
    layout: Layout = None
    changes: Sequence[list[Any]] = ()
    is_message: bool = True
    has_calls: bool = False
    has_reason: bool = False


def converted_entry(encoded: bytes) -> ConvertedEntry | None:
    """What an entry comes to; None where it is not a message."""
    plain, end = plain_messages(encoded, 0)
    if len(plain) == 1 and end == len(encoded):
        role, text = plain[0]
        return ConvertedEntry((_RESPONSE if role == b"tool" else _TEXT) % (role, text))
    size = len(encoded)
    convert = _small if size <= _SMALL else _large if size <= _LARGE else _converted
    return convert(encoded)


def _converted(encoded: bytes) -> ConvertedEntry | None:
    entry = orjson.loads(encoded)
    message = model_call.as_message(entry)
    if message is None:
        return None
    whole, layout = message_of(entry, message)
    has_reason = "finish_reason" in whole
    message_alone = {name: whole[name] for name in whole if name != "finish_reason"}
    changes: Changes = []
    differences((), entry_of(message_alone, layout), entry, changes)
    calls = any(part.get("type") == "tool_call" for part in whole["parts"] if part)
    return ConvertedEntry(orjson.dumps(whole), layout, changes, entry is message, calls, has_reason)


_small = functools.lru_cache(maxsize=512)(_converted)
_large = functools.lru_cache(maxsize=32)(_converted)
