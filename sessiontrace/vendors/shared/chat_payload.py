"""What a model was asked and what it answered, read from encoded inputs and outputs.

Pure functions, no thread owns them. Most chats are messages of a role and a text. Those are found
by looking for quotes, and their texts go on to a backend in the bytes that capture made of them;
whatever looks different is decoded. Invariant: for any inputs and outputs this says what
``genai.messages`` and ``genai.choices`` say of them decoded.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from sessiontrace.wire import semconv

__all__ = ["Chat", "answer", "answered", "asked", "lone_text", "question", "text_of"]

Plain = list[tuple[bytes, bytes]]

_OPENINGS = (b'{"messages":[', b'{"chat_history":[')
_ROLE, _CONTENT = b'{"role":"', b'","content":"'
_LONE = re.compile(rb'\{"(result|text|content)":"')
_COMMA, _BRACE, _BACKSLASH = b",}\\"
_ESCAPES = 32  # escaped quotes in one text; with more of them, decoding is the faster way


class Chat:
    """Messages, encoded: ``raw`` is their array.

    ``plain``: role (without its quotes) and text (with them) of each, where none has anything else.
    ``rest``: what the inputs hold beside the chat.
    """

    __slots__ = ("_decoded", "plain", "raw", "rest")

    def __init__(
        self,
        raw: bytes,
        plain: Plain | None = None,
        decoded: list[dict[str, Any]] | None = None,
        rest: dict[str, Any] | None = None,
    ) -> None:
        self.raw = raw
        self.plain = plain
        self.rest = rest
        self._decoded = decoded

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages, decoded."""
        if self._decoded is None:
            self._decoded = orjson.loads(self.raw)
        return self._decoded


def asked(inputs: bytes | None) -> Chat | None:
    """The chat in a model call's inputs; None when there is none."""
    if inputs is None:
        return None
    for opening in _OPENINGS:
        if inputs.startswith(opening):
            start = len(opening)
            plain, end = _plain(inputs, start)
            if plain and inputs[end:] == b"]}":
                return Chat(inputs[start - 1 : -1], plain)
    if b'"chat_history":' not in inputs and b'"messages":' not in inputs:
        return None
    decoded = orjson.loads(inputs)
    found = semconv.messages({"inputs": decoded})
    if found is None:
        return None
    rest = {name: decoded[name] for name in decoded if name not in ("chat_history", "messages")}
    return Chat(orjson.dumps(found), None, found, rest)


def answered(outputs: bytes | None) -> Chat | None:
    """The messages in a model call's outputs; None when they are none."""
    if outputs is None:
        return None
    if outputs.startswith(b'{"role":"'):
        plain, end = _plain(outputs, 0)
        if len(plain) == 1 and end == len(outputs):
            return Chat(b"[%b]" % outputs, plain)
    if b'"role":' not in outputs:
        return None
    found = semconv.choices({"outputs": orjson.loads(outputs)})
    return None if found is None else Chat(orjson.dumps(found), None, found)


def question(inputs: bytes) -> bytes:
    """The chat in a model call's inputs, or else all of them as a message of the user's."""
    chat = asked(inputs)
    if chat is not None:
        return chat.raw
    return b'[{"role":"user","content":%b}]' % text_of(inputs)


def answer(outputs: bytes) -> bytes:
    """The messages in a model call's outputs, or else all of them as one of the assistant's."""
    chat = answered(outputs)
    if chat is not None:
        return chat.raw
    return b'[{"role":"assistant","content":%b}]' % (_result(outputs) or text_of(outputs))


def lone_text(outputs: bytes) -> tuple[bytes, bytes] | None:
    """The name and the text (in its quotes) of outputs that are one result, text or content."""
    if (opening := _LONE.match(outputs)) is None:
        return None
    start = opening.end() - 1
    if _text_end(outputs, start) != len(outputs) - 1:
        return None
    return opening[1], outputs[start:-1]


def _result(outputs: bytes) -> bytes | None:
    """The text (in its quotes) that outputs call their result, text or content."""
    if (lone := lone_text(outputs)) is not None:
        return lone[1]
    if b'"result":"' in outputs or b'"text":"' in outputs or b'"content":"' in outputs:
        decoded = orjson.loads(outputs)
        for name in ("result", "text", "content") if isinstance(decoded, dict) else ():
            if isinstance(decoded.get(name), str):
                return orjson.dumps(decoded[name])
    return None


def text_of(encoded: bytes) -> bytes:
    """Encoded JSON as a JSON text: itself if it is one, else a text that holds it."""
    return encoded if encoded.startswith(b'"') else orjson.dumps(encoded.decode())


def _plain(raw: bytes, at: int) -> tuple[Plain, int]:
    """The messages from ``at`` on and the place after them; none at the first unusual one."""
    found: Plain = []
    while raw.startswith(_ROLE, at):
        role = at + len(_ROLE)
        named = raw.find(b'"', role)
        start = named + len(_CONTENT)
        if not raw.startswith(_CONTENT, named):
            return [], at
        end = raw.find(b'"', start) + 1
        if raw[end - 2] == _BACKSLASH:
            end = _text_end(raw, start - 1)
        if not end or raw[end] != _BRACE:
            return [], at
        found.append((raw[role:named], raw[start - 1 : end]))
        at = end + 1
        if at == len(raw) or raw[at] != _COMMA:
            return found, at
        at += 1
    return [], at


def _text_end(raw: bytes, start: int) -> int:
    """The place after the text whose opening quote is at ``start``; 0 when that takes long."""
    at = start
    for _ in range(_ESCAPES):
        at = raw.find(b'"', at + 1)
        if raw[at - 1] != _BACKSLASH:
            return at + 1
        before = raw[start:at]
        if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
            return at + 1
    return 0
