"""What a call adds to the chats before it: a call repeats the history, a thread shows it once.

Not thread-safe; made for one reading of a thread. Invariant: a message that the latest chats end
with is not added again, and a message that a user repeats later is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import attrs

from sessiontrace.store.thread.speech import Message
from sessiontrace.wire.dialects.chat_shapes import messages_of, text_of

__all__ = ["Added", "History", "name_of_call"]

_CHATS = 8  # that may go on at the same time, one for each agent
_MOST_READ = 100  # messages of a history that continues no chat
_SYSTEM = frozenset({"system", "developer"})
_USER = "user"

Key = tuple[str, str]


@attrs.frozen
class Added:
    """``messages``: what is new. ``earlier``: messages before them that no turn has.

    ``omitted``: how many more there are before those. ``continues``: the chat goes on from one
    that was read before. ``system``: the instructions, where they are new.
    """

    messages: Sequence[Message]
    earlier: Sequence[Message] = ()
    omitted: int = 0
    continues: bool = False
    system: str | None = None


@attrs.define
class _Chat:
    raw: list[Any]  # as the latest call has it
    keys: list[Key]  # of the messages after ``raw``'s common part with its predecessor


class History:
    """The chats of a session so far."""

    def __init__(self) -> None:
        self._chats: deque[_Chat] = deque(maxlen=_CHATS)
        self._systems: deque[str] = deque(maxlen=_CHATS)

    def add(
        self, entries: Sequence[Any], system: str | None = None, *, ends: bool = False
    ) -> Added:
        """Add the chat that a call was given; ``ends``: it ends with the answer, as outputs do."""
        texts, raw = _apart(entries)
        new_system = self._new_system([system] if system else texts)
        chat, common = self._predecessor(raw)
        remaining = raw[common:]
        omitted = 0
        if chat is None and len(remaining) > _MOST_READ:
            omitted = len(remaining) - _MOST_READ
            remaining = remaining[-_MOST_READ:]
        messages = [message for entry in remaining for message in messages_of(entry, "user")]
        keys = [_key(message) for message in messages]
        repeated = 0
        if chat is not None:
            repeated = _overlap(chat.keys, keys)
            if not repeated and common:
                repeated = _steps_before(chat.keys, keys)
            if common == len(chat.raw):
                self._chats.remove(chat)  # the others go on from where they were
        self._chats.append(_Chat(raw, keys[repeated:] or keys))
        fresh = messages[repeated:]
        earlier: list[Message] = []
        if not ends:
            earlier, fresh = _answered_apart(fresh)
        return Added(fresh, earlier, omitted, chat is not None, new_system)

    def answer(self, messages: Sequence[Message]) -> None:
        """Add the answers to the latest chat."""
        if not self._chats:
            self._chats.append(_Chat([], []))
        self._chats[-1].keys += [_key(message) for message in messages]

    def ask(self, text: str) -> None:
        """Add a question that no chat holds to the latest chat, or begin one with it."""
        self.answer([{"role": "user", "content": text}])

    def _new_system(self, texts: Sequence[str]) -> str | None:
        system = "\n\n".join(texts)
        if not system or system in self._systems:
            return None
        self._systems.append(system)
        return system

    def _predecessor(self, raw: list[Any]) -> tuple[_Chat | None, int]:
        """The chat that this one continues, and how many messages both have as recorded."""
        best, most = None, 0
        for chat in reversed(self._chats):
            common = _common(chat.raw, raw)
            if common > most and not _is_asked_again(raw, chat.raw, common):
                best, most = chat, common
        if best is None and raw:
            keys = [
                _key(message)
                for entry in raw[:_MOST_READ]
                for message in messages_of(entry, "user")
            ]
            chats = (chat for chat in reversed(self._chats) if _overlap(chat.keys, keys))
            best = next(chats, None)
        return best, most


def _apart(entries: Sequence[Any]) -> tuple[list[str], list[Any]]:
    """The texts of the instructions that a chat begins with, and its messages after them."""
    texts: list[str] = []
    for at, entry in enumerate(entries):
        messages = messages_of(entry, "user")
        if not messages or messages[0].get("role") not in _SYSTEM:
            return texts, list(entries[at:])
        texts += [text for message in messages if (text := _text(message))]
    return texts, []


def _common(before: list[Any], raw: list[Any]) -> int:
    """How many messages ``raw`` begins with that ``before`` has, at its start or in a window."""
    if not before or not raw:
        return 0
    size = len(before)
    if raw[:size] == before:
        return size
    if raw[0] == before[0]:
        return next(
            (at for at, pair in enumerate(zip(before, raw, strict=False)) if pair[0] != pair[1]),
            min(size, len(raw)),
        )
    for start in range(1, size):
        if before[start] == raw[0] and before[start:] == raw[: size - start]:
            return size - start
    return 0


def _is_asked_again(raw: list[Any], before: list[Any], common: int) -> bool:
    """Whether a chat has nothing that the earlier one lacks, and is not the same call once more."""
    if common < len(raw):
        return False
    return len(raw) < len(before) or not any(
        message["role"] == "assistant" for entry in raw for message in messages_of(entry, "user")
    )


def _overlap(before: Sequence[Key], keys: Sequence[Key]) -> int:
    """The most messages at the start of ``keys`` that ``before`` ends with."""
    for size in range(min(len(before), len(keys)), 0, -1):
        if keys[0] == before[-size] and list(keys[:size]) == list(before[-size:]):
            return size
    return 0


def _steps_before(before: Sequence[Key], keys: Sequence[Key]) -> int:
    """How many messages at the start of ``keys`` lead to the answer that ``before`` ends with.

    A turn says its question and its answer; the next one repeats the calls of tools between them.
    The answer may come back in other words, or as the call of a tool that takes it. Where no record
    has the answer, nothing was said before.
    """
    if not before or before[-1][0] != "assistant":
        return 0
    steps = list(takewhile(lambda key: key[0] != _USER, keys))
    if not steps or steps[0][0] != "assistant":
        return 0
    if before[-1] in steps:
        return steps.index(before[-1]) + 1
    return len(steps) if len(steps) < len(keys) else 1


def _answered_apart(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Messages up to the last final answer, and those after it, which a call is about."""
    for at in range(len(messages) - 1, -1, -1):
        message = messages[at]
        if message["role"] == "assistant" and not message.get("tool_calls"):
            return messages[: at + 1], messages[at + 1 :]
    return [], messages


def _text(message: Message) -> str:
    return text_of(message.get("content")) or ""


def _key(message: Message) -> Key:
    """What makes two messages the same; arguments and ids come back in other forms."""
    role = str(message.get("role"))
    content = message.get("content")
    text = text_of(content)
    if text is None and content is not None:
        text = repr(content)
    calls = message.get("tool_calls")
    names = [name_of_call(call) for call in calls] if isinstance(calls, list) else ()
    return role, "\n".join([(text or "").strip(), *names])


def name_of_call(call: Any) -> str:
    """The name of the tool that a message calls."""
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return str(name)
