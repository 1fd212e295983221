"""A conversation as a backend shows it, in one form for all backends; values only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Conversation", "Document", "Message", "Span", "Trace", "decoded", "messages"]


class Message(NamedTuple):
    """A message of a chat. ``calls``: name and arguments of each tool call in it."""

    role: str
    text: str
    calls: tuple[tuple[str, Any], ...] = ()


class Document(NamedTuple):
    """A document that a retriever returned."""

    id: str
    content: str
    score: float | None


class Span(NamedTuple):
    """A step. Times in ns; ``input`` and ``output`` as the backend shows them, "" for none.

    ``kind``: "agent", "chain", "llm", "embedding", "retriever", "tool" or what the backend says.
    ``tokens``: by "prompt", "completion", "total", "cached", "reasoning".
    """

    id: str
    parent: str
    name: str
    kind: str
    start: int
    end: int
    failed: bool
    error: str
    stack: str
    input: str
    output: str
    model: str
    provider: str
    parameters: dict[str, Any]
    tokens: dict[str, int]
    cost: float
    tools: tuple[str, ...]
    asked: tuple[Message, ...]
    answers: tuple[Message, ...]
    documents: tuple[Document, ...]


class Trace(NamedTuple):
    """A trace. ``scores``: value and comment by name."""

    id: str
    user: str
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    tokens: int
    cost: float
    scores: dict[str, tuple[float, str]]
    spans: tuple[Span, ...]

    @property
    def root(self) -> Span:
        """The step without a parent."""
        return next(span for span in self.spans if not span.parent)

    def of_kind(self, *kinds: str) -> list[Span]:
        """The steps of these kinds, in order of time."""
        return sorted((span for span in self.spans if span.kind in kinds), key=_start)


class Conversation(NamedTuple):
    """What a backend has: its view of the session, and the traces in order of time.

    ``embedding_tokens``: what the backend counts of an embedding of 8 tokens.
    """

    session: str
    turns: int
    traces: tuple[Trace, ...]
    scores: dict[str, Any]
    embedding_tokens: int

    def spans(self) -> Iterator[Span]:
        """All steps."""
        for trace in self.traces:
            yield from trace.spans


def _start(span: Span) -> int:
    return span.start


def decoded(value: Any) -> Any:
    """A text that is JSON as its value; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def messages(value: Any) -> tuple[Message, ...]:
    """The messages in a request, an answer or a list, of OpenAI's form or the conventions'."""
    value = decoded(value)
    if isinstance(value, dict):
        entries = value.get("messages") or [
            choice.get("message") for choice in value.get("choices", ())
        ]
    else:
        entries = value if isinstance(value, list) else []
    return tuple(_message(entry) for entry in entries if isinstance(entry, dict))


def _message(entry: dict[str, Any]) -> Message:
    parts = entry.get("parts")
    if not isinstance(parts, list):
        calls = [call["function"] for call in entry.get("tool_calls") or ()]
        return Message(
            str(entry.get("role")),
            str(entry.get("content") or ""),
            tuple((call["name"], decoded(call["arguments"])) for call in calls),
        )
    texts = [part.get("content") or part.get("response") or "" for part in parts]
    calls = [part for part in parts if part.get("type") == "tool_call"]
    return Message(
        str(entry.get("role")),
        "".join(text for text in texts if isinstance(text, str)),
        tuple((call["name"], decoded(call.get("arguments"))) for call in calls),
    )
