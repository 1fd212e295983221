"""The messages of a model call, read from its encoded inputs and outputs.

Pure functions, no thread owns them. Most chats are messages with a role and a text only. This
module finds those by their quotes and passes their texts on in the bytes that capture encoded; it
decodes everything else. Invariant: for any inputs and outputs the result is that of
``model_call.messages`` and ``model_call.choices`` for the decoded values.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from sessiontrace.wire import model_call
from sessiontrace.wire.encoded.members import items_of, members_of
from sessiontrace.wire.encoded.plain_chat import plain_messages, plain_parts, text_end
from sessiontrace.wire.roundtrip.converted_entries import ConvertedEntry, converted_entry

__all__ = [
    "Chat",
    "Entries",
    "input_chat",
    "input_entries",
    "input_messages",
    "input_parts",
    "lone_text",
    "lone_value",
    "output_chat",
    "output_messages",
    "text_of",
]

Plain = list[tuple[bytes, bytes]]

_OPENINGS = {b'{"messages":[': "messages", b'{"chat_history":[': "chat_history"}
_LONE = re.compile(rb'\{"(result|text|content)":"')


class Chat:
    """Messages, encoded: ``raw`` is their array.

    ``plain``: role (without quotes) and text (with quotes) of each message, where no message has
    anything else. ``name``: the entry of the inputs that has the chat, or of outputs with choices
    what these are, "choices" or "messages". ``whole``: the outputs, where they are decoded.
    ``entries``: the messages as they were, of a chat that is not plain. ``other_inputs``: the
    inputs besides the chat. ``finish_reasons``: of each choice that names its own.
    """

    __slots__ = (
        "_decoded", "entries", "finish_reasons", "name", "other_inputs", "plain", "raw", "whole"
    )  # fmt: skip

    def __init__(
        self,
        raw: bytes,
        plain: Plain | None = None,
        decoded: list[dict[str, Any]] | None = None,
        other_inputs: dict[str, Any] | None = None,
        name: str = "",
    ) -> None:
        self.raw: bytes = raw
        self.name: str = name
        self.entries: list[Any] = []
        self.whole: Any = None
        self.plain: Plain | None = plain
        self.other_inputs: dict[str, Any] | None = other_inputs
        self.finish_reasons: list[str | None] = []
        self._decoded = decoded

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages, decoded."""
        if self._decoded is None:
            self._decoded = orjson.loads(self.raw)
        return self._decoded


def input_chat(inputs: bytes | None) -> Chat | None:
    """The chat in a model call's inputs; None when they hold no chat."""
    if inputs is None:
        return None
    for opening, name in _OPENINGS.items():
        if inputs.startswith(opening):
            start = len(opening)
            plain, end = plain_messages(inputs, start)
            if plain and inputs[end:] == b"]}":
                return Chat(inputs[start - 1 : -1], plain, name=name)
    if b'"chat_history":' not in inputs and b'"messages":' not in inputs:
        return None
    decoded = orjson.loads(inputs)
    name, messages = model_call.named_messages({"inputs": decoded})
    if messages is None:
        return None
    other_inputs = {other: decoded[other] for other in decoded if other != name}
    chat = Chat(orjson.dumps(messages), None, messages, other_inputs, name)
    chat.entries = decoded[name]
    return chat


class Entries(NamedTuple):
    """A chat whose entries are converted. ``other_inputs``: the inputs besides the chat."""

    name: str
    entries: list[ConvertedEntry]
    other_inputs: dict[str, Any]


def input_entries(inputs: bytes | None) -> Entries | None:
    """The chat in a model call's inputs, as ``input_chat`` finds it; None when they hold none."""
    if inputs is None or (b'"chat_history":' not in inputs and b'"messages":' not in inputs):
        return None
    members = members_of(inputs)
    if members is None:  # not as capture writes it
        decoded = orjson.loads(inputs)
        if not isinstance(decoded, dict):
            return None
        members = {key.encode(): orjson.dumps(value) for key, value in decoded.items()}
    for name in ("chat_history", "messages"):
        items = items_of(members.get(name.encode(), b""))
        entries = [converted_entry(item) for item in items] if items else []
        if entries and None not in entries:
            del members[name.encode()]
            other_inputs = {key.decode(): orjson.loads(raw) for key, raw in members.items()}
            return Entries(name, [entry for entry in entries if entry], other_inputs)
    return None


def input_parts(inputs: bytes | None) -> tuple[str, bytes] | None:
    """The entry with a plain chat, and its messages in the form of OTel's GenAI conventions.

    None where inputs hold no chat, or one that is not plain.
    """
    if inputs is None:
        return None
    for opening, name in _OPENINGS.items():
        if inputs.startswith(opening):
            parts = plain_parts(inputs, len(opening))
            return None if parts is None else (name, parts)
    return None


def output_chat(outputs: bytes | None) -> Chat | None:
    """The chat in a model call's outputs; None when they hold no chat."""
    if outputs is None:
        return None
    if outputs.startswith(b'{"role":"'):
        plain, end = plain_messages(outputs, 0)
        if len(plain) == 1 and end == len(outputs):
            return Chat(b"[%b]" % outputs, plain)
    if b'"role":' not in outputs:
        return None
    event = {"outputs": orjson.loads(outputs)}
    messages = model_call.choices(event)
    if messages is None:
        return None
    chat = Chat(orjson.dumps(messages), None, messages)
    chat.whole, chat.entries = event["outputs"], messages
    if chat.whole is not messages[0]:
        wrapped = chat.whole["choices"][0] is not messages[0]
        chat.name = "choices" if wrapped else "messages"
    chat.finish_reasons = model_call.reasons_of_choices(event)
    return chat


def input_messages(inputs: bytes) -> bytes:
    """The array of input messages; inputs that are not a chat become one message of the user."""
    chat = input_chat(inputs)
    if chat is not None:
        return chat.raw
    return b'[{"role":"user","content":%b}]' % text_of(inputs)


def output_messages(outputs: bytes) -> bytes:
    """The array of output messages; outputs that are not a chat become one of the assistant."""
    chat = output_chat(outputs)
    if chat is not None:
        return chat.raw
    return b'[{"role":"assistant","content":%b}]' % (_result(outputs) or text_of(outputs))


def lone_value(inputs: bytes) -> str | None:
    """The text of inputs whose only entry is a text, whatever its name."""
    decoded = orjson.loads(inputs)
    if isinstance(decoded, dict) and len(decoded) == 1:
        (decoded,) = decoded.values()
    return decoded if isinstance(decoded, str) else None


def lone_text(outputs: bytes) -> tuple[bytes, bytes] | None:
    """Name and text (in quotes) of outputs whose only entry is a result, text or content."""
    if (opening := _LONE.match(outputs)) is None:
        return None
    start = opening.end() - 1
    if text_end(outputs, start) != len(outputs) - 1:
        return None
    return opening[1], outputs[start:-1]


def _result(outputs: bytes) -> bytes | None:
    """The text (in quotes) of the entry result, text or content of outputs."""
    if (lone := lone_text(outputs)) is not None:
        return lone[1]
    if b'"result":"' in outputs or b'"text":"' in outputs or b'"content":"' in outputs:
        decoded = orjson.loads(outputs)
        for name in ("result", "text", "content") if isinstance(decoded, dict) else ():
            if isinstance(decoded.get(name), str):
                return orjson.dumps(decoded[name])
    return None


def text_of(encoded: bytes) -> bytes:
    """Encoded JSON as a JSON text: itself if it is a text, else a text that contains it."""
    return encoded if encoded.startswith(b'"') else orjson.dumps(encoded.decode())
