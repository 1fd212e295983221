"""What a record says: the chat or text that a step was given, and the messages it answered with.

Pure functions, no thread owns them. ``wire.dialects.chat_shapes`` reads the messages; this module
finds them among the inputs and outputs that people and libraries name freely. Invariant: messages
come out as ``{role, content, tool_calls?}``, and nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.wire import model_call
from sessiontrace.wire.dialects.chat_shapes import answers_of, chat_of, messages_of

__all__ = ["Message", "Speech", "speech_of"]

Message = dict[str, Any]

_CHATS = ("chat_history", "messages", "contents", "history", "input", "inputs")
_ASKED = (
    "message", "question", "query", "prompt", "text", "user_input", "user_message", "user_query",
    "input", "content", "task", "utterance", "request", "q",
)  # fmt: skip
_ANSWERED = (
    "reply", "answer", "response", "output", "text", "content", "message", "completion", "result",
    "final_output", "final_answer", "generation", "raw",
)  # fmt: skip
_HOLDERS = ("result", "output", "response", "message", "last_message")
_DEEPEST = 3
_SHOWN = re.compile(r"[A-Z]\w*\(.{0,200}\b(?:ChatMessage|AIMessage|TextBlock)\(", re.DOTALL)
"""A message, or what holds it, as Python shows an object."""
_USER = "user"
_NO_CHATS = frozenset({"embeddings", "rerank"})


@attrs.frozen
class Speech:
    """``chat``: the messages in the inputs as they were recorded, which may repeat the history.

    ``system``: instructions beside them. ``question``: a text in the inputs; ``is_named``: it, or
    a chat, has a name by which people call such a thing. ``answers``: the
    messages of the outputs; ``whole_chat``: outputs that repeat the history, as agents' states do.
    """

    chat: list[Any] = attrs.field(factory=list)
    system: str | None = None
    question: str | None = None
    is_named: bool = False
    answers: list[Message] = attrs.field(factory=list)
    whole_chat: list[Any] = attrs.field(factory=list)

    @property
    def is_given(self) -> bool:
        """Whether the inputs are readable."""
        return bool(self.chat or self.question)

    @property
    def is_answered(self) -> bool:
        """Whether the outputs are readable."""
        return bool(self.answers or self.whole_chat)


def speech_of(record: Mapping[str, Any]) -> Speech:
    """What the record of a step, a turn or a session says."""
    event = dict(record)
    if model_call.operation(event) in _NO_CHATS:
        return Speech()
    inputs, outputs = event.get("inputs"), event.get("outputs")
    inputs = inputs if isinstance(inputs, dict) else {}
    name, chat = _chat_in(inputs)
    system = _system(inputs, name, chat)
    question = _text_in({key: inputs[key] for key in inputs if key != name}, _ASKED)
    if chat and question is not None and event.get("event_type") == "model":
        question = None  # a model's call has its question in the chat
    whole_chat: list[Any] = []
    answers: list[Message] = []
    if isinstance(outputs := _unwrapped(outputs), dict):
        side, whole_chat = _chat_in(outputs)
        is_longer = len(whole_chat) > len(chat) > 0
        if whole_chat and not (is_longer or _is_answered(whole_chat)):
            chat, whole_chat = chat or whole_chat, []  # what a step hands to the next one
            outputs = {**outputs, side: None}
        answers = [] if whole_chat else _answers(outputs)
    is_named = bool(chat) or any(inputs.get(key) == question for key in _ASKED)
    return Speech(chat, system, question, is_named, answers, whole_chat)


def _chat_in(fields: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The name of the entry with a chat, and its messages as they are."""
    for name in _CHATS:
        entries = fields.get(name)
        # The last message decides: to read all of a long history would cost more than the rest.
        if isinstance(entries, list) and entries and chat_of(entries[-1:]):
            if isinstance(entries[-1], list):  # LangChain's batches
                entries = [entry for batch in entries if isinstance(batch, list) for entry in batch]
            return name, [message for message in entries if isinstance(message, (dict, str))]
    return "", []


def _is_answered(chat: list[Any]) -> bool:
    """Whether a message of an assistant follows the user's last one."""
    roles = (message["role"] for entry in reversed(chat) for message in messages_of(entry, _USER))
    return next((role for role in roles if role in (_USER, "assistant")), "") == "assistant"


def _system(inputs: Mapping[str, Any], name: str, chat: list[Any]) -> str | None:
    if not name or not any(key in inputs for key in ("system", "instructions", "config")):
        return None
    beside = {key: inputs[key] for key in inputs if key not in _CHATS}
    messages = chat_of({**beside, "messages": chat[-1:]}) or []
    if len(messages) > 1 and messages[0].get("role") == "system":
        content = messages[0].get("content")
        return content if isinstance(content, str) else None
    return None


def _text_in(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The text among some entries: the only one, or the one with the best name."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value
    if len(fields) == 1:
        (value,) = fields.values()
        if isinstance(value, str) and value.strip():
            return value
    return None


def _unwrapped(outputs: Any) -> Any:
    """What the only entry of an object holds, such as the state that a node of a graph returns."""
    for _ in range(_DEEPEST):
        if not isinstance(outputs, dict) or len(outputs) != 1 or answers_of(outputs):
            break
        (inner,) = outputs.values()
        if not isinstance(inner, dict):
            break
        outputs = inner
    return outputs


def _answers(outputs: Mapping[str, Any], deepest: int = _DEEPEST) -> list[Message]:
    answers = answers_of(outputs)
    if not answers and isinstance(inner := outputs.get("result"), (dict, list)):
        answers = answers_of(inner)
    if answers:
        return [] if all(message["role"] == _USER for message in answers) else answers
    text = _text_in(outputs, _ANSWERED)
    if text is not None:
        is_shown = _SHOWN.match(text)  # the message is in the call that it came from
        return [] if is_shown else [{"role": "assistant", "content": text}]
    replies = outputs.get("replies")
    if isinstance(replies, list) and replies:
        return [answer for reply in replies for answer in answers_of(reply) or ()]
    inner = (outputs[name] for name in _HOLDERS if isinstance(outputs.get(name), dict))
    return next(filter(None, (_answers(value, deepest - 1) for value in inner if deepest)), [])
