"""A response of OpenAI's realtime API, from the events of its stream.

Runs where the connection receives. Invariant: a response that is cut has what had come, in the
shape of a whole one.
"""

from __future__ import annotations

import base64
from typing import Any

from sessiontrace.capture.encoding.media_digest import MediaDigest
from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import tool_call, without_none

__all__ = ["RealtimeAssembler"]

_TEXT = frozenset(
    {"response.output_text.delta", "response.text.delta"}
    | {"response.output_audio_transcript.delta", "response.audio_transcript.delta"}
)
_SOUND = frozenset({"response.output_audio.delta", "response.audio.delta"})


class RealtimeAssembler:
    """One response, from its events."""

    __slots__ = ("_error", "_items", "_pieces", "_response", "_sound", "_whole")

    def __init__(self) -> None:
        self._items: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, list[str]] = {}
        self._response: dict[str, Any] = {}
        self._whole = False
        self._error: Any = None
        self._sound = MediaDigest()

    def add(self, event: dict[str, Any]) -> None:
        """Keep an item, a piece of it, or the response."""
        kind = event["type"]
        index = event.get("output_index") or 0
        if kind in _SOUND:
            self._sound.update(base64.b64decode(event.get("delta") or ""))
        elif kind in _TEXT or kind == "response.function_call_arguments.delta":
            self._pieces.setdefault(index, []).append(event.get("delta") or "")
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._items[index] = event.get("item") or {}
            if kind.endswith("done"):
                self._pieces.pop(index, None)
        elif kind in ("response.created", "response.done"):
            self._response = event.get("response") or {}
            self._whole = kind == "response.done"
        elif kind == "error":
            self._error = event.get("error") or {}

    def answer(self) -> Answer:
        """The response as far as it has come."""
        items = self._response.get("output") if self._whole else None
        outputs = _outputs(items or self._arrived())
        if self._sound.size:
            outputs["audio"] = self._sound.described()
        metadata = {**_usage(self._response.get("usage") or {}), **self._end()}
        if (identifier := self._response.get("id")) is not None:
            metadata["response_id"] = identifier
        return Answer(outputs, without_none(metadata))

    def _end(self) -> dict[str, Any]:
        """How the response ended: its status, or the error that took its place."""
        error = self._error
        metadata: dict[str, Any] = {}
        if self._whole:
            details = self._response.get("status_details") or {}
            status = self._response.get("status")
            metadata["finish_reason"] = details.get("reason") or status
            error = details.get("error") or ({} if status == "failed" else None)
        elif error is None:
            metadata["stream_end"] = "cut"
        if error is not None:
            metadata["error_code"] = error.get("code") or error.get("type")
            message = error.get("message") or metadata["error_code"]
            metadata["response_error"] = str(message or "the response failed")
        return metadata

    def _arrived(self) -> list[dict[str, Any]]:
        items = []
        for index in sorted({*self._items, *self._pieces}):
            item = self._items.get(index) or {"type": "message"}
            text = "".join(self._pieces.get(index, ()))
            if text and item.get("type") == "function_call":
                item = {**item, "arguments": text}
            elif text:
                item = {**item, "content": [{"type": "output_text", "text": text}]}
            items.append(item)
        return items


def _outputs(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The items as one message; what is said is its content too, as text."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    others: list[Any] = []
    for item in items:
        kind = item.get("type")
        if kind == "message":
            parts = item.get("content") or ()
            texts.extend(part.get("text") or part.get("transcript") or "" for part in parts)
        elif kind == "function_call":
            calls.append(tool_call(item.get("call_id"), item.get("name"), item.get("arguments")))
        else:
            others.append(item)
    outputs: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    if calls:
        outputs["tool_calls"] = calls
    if others:
        outputs["items"] = others
    return outputs


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    prompt = usage.get("input_token_details") or {}
    completion = usage.get("output_token_details") or {}
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "cache_read_tokens": prompt.get("cached_tokens"),
        "prompt_audio_tokens": prompt.get("audio_tokens"),
        "completion_audio_tokens": completion.get("audio_tokens"),
    }
