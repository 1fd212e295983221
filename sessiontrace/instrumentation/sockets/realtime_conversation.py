"""The conversation of a realtime connection, as far as the next response sees it.

Runs where the connection sends and receives. Invariant: the history is bounded; what falls out of
it is counted.
"""

from __future__ import annotations

import base64
from typing import Any

from sessiontrace.capture.encoding.media_digest import MediaDigest
from sessiontrace.instrumentation.core.response_fields import tool_call, without_none

__all__ = ["Conversation"]

_ITEMS_MAX = 200


class Conversation:
    """The items of a conversation, in their order, and the sound that the program sends."""

    def __init__(self) -> None:
        self._items: dict[Any, dict[str, Any]] = {}
        self._unconfirmed: list[dict[str, Any]] = []
        self._sounds: dict[Any, dict[str, Any]] = {}
        self._committed: list[dict[str, Any]] = []
        self._sound = MediaDigest()
        self._left_out = 0

    def sent(self, message: dict[str, Any]) -> None:
        """Keep an item, or sound that belongs to the next one."""
        kind = message.get("type")
        if kind == "input_audio_buffer.append":
            self._sound.update(base64.b64decode(message.get("audio") or ""))
        elif kind == "input_audio_buffer.commit":
            self._commit()
        elif kind == "input_audio_buffer.clear":
            self._sound = MediaDigest()
        elif kind == "conversation.item.create" and isinstance(message.get("item"), dict):
            self._unconfirmed.append(message["item"])

    def received(self, message: dict[str, Any]) -> None:
        """Keep an item as the server has it; it confirms each that the program sent."""
        kind = message.get("type")
        item, identifier = message.get("item") or {}, message.get("item_id")
        if kind in ("conversation.item.added", "conversation.item.created"):
            if item.get("role") != "assistant" and item.get("type") != "function_call":
                self._confirm(item)
            self._add(item)
        elif kind in ("conversation.item.done", "conversation.item.retrieved"):
            self._add(item)
        elif kind == "conversation.item.deleted":
            self._items.pop(identifier, None)
            self._sounds.pop(identifier, None)
        elif kind == "input_audio_buffer.committed":
            if not self._committed:  # the server noticed the end of the user's turn
                self._commit()
            self._sounds[identifier] = self._committed.pop(0)
        elif kind == "conversation.item.input_audio_transcription.completed":
            self._sounds.setdefault(identifier, {})["transcript"] = message.get("transcript")

    def sound_of(self, identifier: Any) -> dict[str, Any]:
        """The inputs of a transcription."""
        sound = dict(self._sounds.get(identifier, {}))
        sound.pop("transcript", None)
        return {"audio": sound} if sound else {}

    def history(self, replacement: Any) -> list[Any]:
        """The messages so far; those of ``replacement`` where a response has its own input."""
        items: list[Any] = [*self._items.items(), *((None, item) for item in self._unconfirmed)]
        if isinstance(replacement, list):
            items = [(item.get("id"), self._resolved(item)) for item in replacement]
        messages = [self._message(identifier, item) for identifier, item in items]
        if self._left_out and not isinstance(replacement, list):
            messages.insert(0, {"role": "system", "content": None, "omitted": self._left_out})
        return messages

    def _resolved(self, item: dict[str, Any]) -> dict[str, Any]:
        """The item that a reference refers to."""
        if item.get("type") == "item_reference":
            return self._items.get(item.get("id"), item)
        return item

    def _confirm(self, item: dict[str, Any]) -> None:
        for place, own in enumerate(self._unconfirmed):
            if own.get("type") == item.get("type") and own.get("id") in (None, item.get("id")):
                del self._unconfirmed[place]
                return

    def _add(self, item: dict[str, Any]) -> None:
        self._items[item.get("id")] = item
        if len(self._items) > _ITEMS_MAX:
            oldest = next(iter(self._items))
            del self._items[oldest]
            self._sounds.pop(oldest, None)
            self._left_out += 1

    def _commit(self) -> None:
        self._committed.append(self._sound.described())
        self._sound = MediaDigest()

    def _message(self, identifier: Any, item: dict[str, Any]) -> dict[str, Any]:
        """An item as a message of a chat."""
        kind = item.get("type")
        if kind == "function_call":
            call = tool_call(item.get("call_id"), item.get("name"), item.get("arguments"))
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        if kind == "function_call_output":
            return {
                "role": "tool",
                "tool_call_id": item.get("call_id"),
                "content": item.get("output"),
            }
        if kind != "message":
            return item
        parts = [self._part(identifier, part) for part in item.get("content") or ()]
        texts = [part["text"] for part in parts if set(part) == {"type", "text"}]
        content: Any = "".join(texts) if len(texts) == len(parts) else parts
        return {"role": item.get("role"), "content": content}

    def _part(self, identifier: Any, part: dict[str, Any]) -> dict[str, Any]:
        """A part of a message, its sound by digest and size."""
        described = {name: value for name, value in part.items() if name != "audio"}
        if part.get("type") in ("input_audio", "audio", "output_audio"):
            described.update(self._sounds.get(identifier, {}))
            if isinstance(sound := part.get("audio"), str):
                digest = MediaDigest()
                digest.update(base64.b64decode(sound))
                described.update(digest.described())
        return without_none(described)
