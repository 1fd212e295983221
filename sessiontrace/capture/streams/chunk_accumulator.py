"""The sum of a stream's chunks, updated chunk by chunk on the consumer's thread.

Texts are joined. So are the texts, tool calls and usage in chunks of OpenAI's and Anthropic's form,
objects or dicts. Other chunks are listed as they are. Invariant: the accumulator holds a bounded
amount, and no chunk that could still change.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.capture.encoding.encoder import CAP, encode, encode_object
from sessiontrace.capture.encoding.object_fields import field_of
from sessiontrace.capture.encoding.safe_text import kind_name, omitted
from sessiontrace.capture.encoding.static_access import MISSING, class_attribute
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["ChunkAccumulator"]

_TEXT_MAX = CAP // 2  # characters
_ITEMS_MAX = 1_000
_PLAIN = frozenset({int, float, bool, bytes, list, tuple, type(None)})


class ChunkAccumulator:
    """``add`` every chunk, then ``encoded``."""

    __slots__ = ("_calls", "_details", "_foreign", "_items", "_more", "_size", "_text")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._size = 0  # of all characters, also of those left out
        self._items: list[bytes] | None = None  # None as long as there is text only
        self._more = 0
        self._details: dict[str, Any] = {}  # the fields of deltas other than their text
        self._calls: dict[int, dict[str, Any]] = {}
        self._foreign = frozenset[type]()

    def add(self, item: Any) -> None:
        """Take in one chunk."""
        kind = type(item)
        if kind is str:
            if self._items is None:
                if self._size < _TEXT_MAX:  # as `_join`, for the usual chunk
                    self._text.append(item)
                self._size += len(item)
                return
        elif self._items is None and (self._details or not self._text):
            try:
                if kind not in _PLAIN and self._delta(item, kind):
                    return
            except Exception as error:  # a delta by its form, with something else inside
                raise_if_from_signal(error)
        self._list(item)

    def _join(self, text: str) -> None:
        if self._size < _TEXT_MAX:
            self._text.append(text)
        self._size += len(text)

    def _list(self, item: Any) -> None:
        if self._items is None:
            self._items = [encode(text) for text in self._text[:_ITEMS_MAX]]
        if len(self._items) < _ITEMS_MAX and self._size < CAP:
            encoded = encode(item)
            self._size += len(encoded)
            self._items.append(encoded)
        else:
            self._more += 1

    def encoded(self) -> bytes:
        """The sum as one JSON object: ``{"result": ...}`` or an assistant's message."""
        if self._items is not None:
            if self._more:
                self._items.append(orjson.dumps(omitted(self._more, "chunks")))
            return encode_object([orjson.loads(item) for item in self._items], "result")
        text = "".join(self._text)
        if self._size > len(text):
            text += omitted(self._size - len(text), "characters")
        if not self._details:
            return encode_object(text, "result")
        calls = {"tool_calls": list(self._calls.values())} if self._calls else {}
        message = {"role": "assistant", "content": text, **calls, **self._details}
        message.pop("delta", None)
        return encode_object(message, "result")

    # -- chunks of known form ---------------------------------------------------------------

    def _delta(self, item: Any, kind: type) -> bool:
        """Whether the chunk is one that OpenAI's or Anthropic's clients stream; then take it in."""
        if kind is dict:
            choices, name, usage = item.get("choices"), item.get("type"), item.get("usage")
        elif kind in self._foreign:
            return False
        else:
            if not _streamed(kind):
                self._foreign |= {kind}
                return False
            choices = field_of(item, kind, "choices")
            name = field_of(item, kind, "type")
            usage = field_of(item, kind, "usage")
        if type(choices) is list:
            self._choices(choices)
        elif not (type(name) is str and self._event(name, item)):
            return False
        self._details["delta"] = True
        if usage is not None:
            self._details["usage"] = orjson.loads(encode(usage))
        return True

    def _choices(self, choices: list[Any]) -> None:
        for choice in choices[:1]:
            delta = _get(choice, "delta")
            text = _get(delta, "content")
            if type(text) is str:
                self._join(text)
            for call in _get(delta, "tool_calls") or ():
                self._call(_get(call, "index") or 0, _get(call, "id"), _get(call, "function"))
            reason = _get(choice, "finish_reason")
            if reason is not None:
                self._details["finish_reason"] = str(reason)

    def _call(self, index: int, call_id: Any, function: Any) -> None:
        call = self._calls.setdefault(index, {"id": None, "name": "", "arguments": ""})
        call["id"] = call["id"] or call_id
        call["name"] += _get(function, "name") or ""
        arguments = _get(function, "arguments") or ""
        if len(call["arguments"]) < _TEXT_MAX:
            call["arguments"] += arguments

    def _event(self, name: str, item: Any) -> bool:
        """An event of Anthropic's Messages or of OpenAI's Responses."""
        if name == "content_block_delta":
            delta = _get(item, "delta")
            text = _get(delta, "text")
            if type(text) is str:
                self._join(text)
            elif type(part := _get(delta, "partial_json")) is str:
                self._call(_get(item, "index") or 0, None, {"arguments": part})
            return True
        if name == "content_block_start":
            block = _get(item, "content_block")
            if _get(block, "type") == "tool_use":
                function = {"name": _get(block, "name")}
                self._call(_get(item, "index") or 0, _get(block, "id"), function)
            return True
        if name == "message_delta":
            reason = _get(_get(item, "delta"), "stop_reason")
            if reason is not None:
                self._details["finish_reason"] = str(reason)
            return True
        if name == "response.output_text.delta":
            text = _get(item, "delta")
            if type(text) is str:
                self._join(text)
            return True
        return name in _SILENT or name.startswith("response.")


_SILENT = frozenset({"message_start", "message_stop", "content_block_stop", "ping"})


def _streamed(kind: type) -> bool:
    """Whether objects of this class are model clients' chunks: they declare such fields."""
    fields = class_attribute(kind, "__pydantic_fields__")
    if fields is MISSING:
        fields = class_attribute(kind, "__annotations__")
    return (type(fields) is dict and ("choices" in fields or "type" in fields)) or (
        kind_name(kind).endswith(("Chunk", "Event"))
    )


def _get(container: Any, name: str) -> Any:
    kind = type(container)
    return container.get(name) if kind is dict else field_of(container, kind, name)
