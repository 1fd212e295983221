"""Mistral's conversations API: answers and stream events.

Pure functions, on the thread of the call. Invariant: a streamed answer has the same fields as a
whole one; a stream that is cut gives what has come.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    merge_delta,
    other_fields,
    tool_call,
)
from sessiontrace.instrumentation.openai_family.chat_usage import usage_of


def conversation_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole answer."""
    metadata = _metadata(get_field(result, "conversation_id"), get_field(result, "usage"))
    return Answer(_outputs(get_field(result, "outputs") or ()), metadata)


def _metadata(conversation: Any, usage: Any) -> dict[str, Any]:
    metadata = usage_of(usage)
    if conversation is not None:
        metadata["conversation_id"] = conversation
    return metadata


def _outputs(entries: Any) -> dict[str, Any]:
    """The entries as one message; tools that ran at the provider stay as they are."""
    texts: list[str] = []
    blocks: list[Any] = []
    calls: list[dict[str, Any]] = []
    others: list[Any] = []
    for entry in entries:
        kind = get_field(entry, "type")
        if kind == "message.output":
            content = get_field(entry, "content")
            for block in [content] if isinstance(content, str) else content or ():
                text = block if isinstance(block, str) else get_field(block, "text")
                if isinstance(text, str):
                    texts.append(text)
                else:
                    blocks.append(block)
        elif kind == "function.call":
            names = ("tool_call_id", "name", "arguments")
            calls.append(tool_call(*(get_field(entry, name) for name in names)))
        else:
            others.append(entry)
    outputs: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    fields = {"tool_calls": calls, "blocks": blocks, "items": others}
    outputs.update({name: value for name, value in fields.items() if value})
    return outputs


class ConversationAssembler:
    """An answer from the events of its stream."""

    __slots__ = ("_entries", "_error", "_id", "_is_done", "_usage")

    def __init__(self) -> None:
        self._entries: dict[Any, dict[str, Any]] = {}
        self._id: Any = None
        self._usage: Any = None
        self._error: Any = None
        self._is_done = False

    def add(self, event: Any) -> None:
        """Keep an entry, or what a delta adds to it."""
        data = get_field(event, "data")
        kind = str(get_field(data, "type"))
        place = (get_field(data, "output_index") or 0, get_field(data, "id"))
        if kind == "conversation.response.started":
            self._id = get_field(data, "conversation_id")
        elif kind == "conversation.response.done":
            self._usage = get_field(data, "usage")
            self._is_done = True
        elif kind == "conversation.response.error":
            self._error = get_field(data, "message")
        elif kind == "message.output.delta":
            content = get_field(data, "content")
            text = content if isinstance(content, str) else get_field(content, "text")
            entry = self._entries.setdefault(place, {"type": "message.output", "content": []})
            entry["content"].append(content if text is None else text)
        elif kind in ("function.call.delta", "tool.execution.delta"):
            entry = self._entries.setdefault(place, {"type": kind.removesuffix(".delta")})
            names = frozenset({"type", "id", "tool_call_id", "name", "created_at", "output_index"})
            entry.update(other_fields(data, frozenset({"type", "arguments", "created_at"})))
            merge_delta(entry, {"arguments": other_fields(data, names).get("arguments")})
        elif kind.startswith(("tool.execution.", "agent.handoff.")):
            entry = self._entries.setdefault(place, {})
            entry.update(other_fields(data, frozenset({"created_at"})))
            entry["type"] = kind.removesuffix(".started").removesuffix(".done")

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        metadata = _metadata(self._id, self._usage)
        if self._error is not None:
            metadata["response_error"] = str(self._error)
        elif not self._is_done:
            metadata["stream_end"] = "cut"
        entries = [entry for _, entry in sorted(self._entries.items(), key=lambda item: item[0][0])]
        return Answer(_outputs(entries), metadata)
