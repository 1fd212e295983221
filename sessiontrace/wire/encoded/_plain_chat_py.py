"""The Python forms of ``plain_messages`` and ``plain_parts``; see ``plain_chat``."""

from __future__ import annotations

import re

__all__ = ["plain_messages", "plain_parts", "text_end"]

_ROLE, _CONTENT = b'{"role":"', b'","content":"'
_TEXT = b'{"role":"%b","parts":[{"type":"text","content":%b}]}'
_RESPONSE = b'{"role":"%b","parts":[{"type":"tool_call_response","response":%b}]}'
_TEXT_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_COMMA, _BRACE, _BACKSLASH = b",}\\"


def plain_messages(raw: bytes, at: int) -> tuple[list[tuple[bytes, bytes]], int]:
    """The messages from ``at`` on, and the position after them; none if one is unusual.

    A message is its role, without quotes, and its text, with quotes.
    """
    messages: list[tuple[bytes, bytes]] = []
    while raw.startswith(_ROLE, at):
        role = at + len(_ROLE)
        role_end = raw.find(b'"', role)
        start = role_end + len(_CONTENT)
        if not raw.startswith(_CONTENT, role_end):
            return [], at
        end = raw.find(b'"', start) + 1
        if raw[end - 2] == _BACKSLASH:
            end = text_end(raw, start - 1)
        if not end or raw[end] != _BRACE:
            return [], at
        messages.append((raw[role:role_end], raw[start - 1 : end]))
        at = end + 1
        if at == len(raw) or raw[at] != _COMMA:
            return messages, at
        at += 1
    return [], at


def plain_parts(raw: bytes, at: int) -> bytes | None:
    """The messages from ``at`` to the last two bytes, in the form of OTel's GenAI conventions.

    None where there are none, or one is unusual.
    """
    messages, end = plain_messages(raw, at)
    if not messages or raw[end:] != b"]}":
        return None
    parts = [(_RESPONSE if role == b"tool" else _TEXT) % (role, text) for role, text in messages]
    return b"[%b]" % b",".join(parts)


def text_end(raw: bytes, start: int) -> int:
    """The position after the text that opens at ``start``; 0 where it does not end."""
    text = _TEXT_END.match(raw, start + 1)
    return 0 if text is None else text.end()
