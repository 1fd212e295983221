"""Gemini's live API: one model call for each turn of the model.

Runs where the connection sends and receives. Invariant: a turn ends when the model is done, is
interrupted, or calls a function; what the program answers begins the next one.
"""

from __future__ import annotations

import base64
from typing import Any

from sessiontrace.capture.encoding.media_digest import MediaDigest
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.response_fields import other_fields, tool_call, without_none
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.sockets.socket_calls import SocketCalls

__all__ = ["GeminiLive"]

_MESSAGES_MAX = 200


class GeminiLive(SocketCalls):
    """A connection of ``live.connect``."""

    provider: str = "gcp.gemini"

    def __init__(self, calls: CallRecorder, host: str, query: str) -> None:
        super().__init__(calls, host, query)
        if host.endswith("aiplatform.googleapis.com"):
            self.provider = "gcp.vertex_ai"
        self._setup: dict[str, Any] = {}
        self._history: list[dict[str, Any]] = []
        self._turn: StreamObserver | None = None
        self._sound = _Sound()

    def on_sent(self, message: dict[str, Any]) -> None:
        """Keep what the program says; a whole turn of it begins one of the model's."""
        if (setup := _field(message, "setup")) is not None:
            self._setup = setup
        elif (content := _field(message, "clientContent")) is not None:
            self._history.extend(_message(turn) for turn in content.get("turns") or ())
            if _field(content, "turnComplete"):
                self._begin()
        elif (response := _field(message, "toolResponse")) is not None:
            for result in _field(response, "functionResponses") or ():
                content = {"tool_call_id": result.get("id"), "content": result.get("response")}
                self._history.append({"role": "tool", "name": result.get("name"), **content})
            self._begin()
        elif (chunk := _field(message, "realtimeInput")) is not None:
            if isinstance(text := chunk.get("text"), str):
                self._history.append({"role": "user", "content": text})
                self._begin()
            self._sound.add(chunk)

    def on_received(self, message: dict[str, Any]) -> None:
        """Keep what the model says; the end of its turn ends the call."""
        content = _field(message, "serverContent") or {}
        call = _field(message, "toolCall")
        if self._turn is None and (call is not None or _field(content, "modelTurn") is not None):
            self._begin()
        turn = self._turn
        if turn is None:
            if (heard := _field(content, "inputTranscription")) is not None:
                self._sound.transcript += heard.get("text") or ""
            return
        turn.chunk(message)
        if call is not None or _field(content, "turnComplete") or _field(content, "interrupted"):
            self._turn = None
            outputs = turn.assembler.answer().outputs if turn.assembler is not None else {}
            self._history.append(outputs)
            del self._history[:-_MESSAGES_MAX]
            self.end_turn(turn)

    def _begin(self) -> None:
        if self._turn is not None:  # the program goes on before the model has answered
            return
        if (heard := self._sound.message()) is not None:
            self._history.append(heard)
            self._sound = _Sound()
        setup = self._setup
        history = list(self._history)
        if (system := _field(setup, "systemInstruction")) is not None:
            history.insert(0, {**_message(system), "role": "system"})
        config = {
            "tools": setup.get("tools"),
            "hyperparameters": _field(setup, "generationConfig"),
        }
        model = str(setup.get("model")).rpartition("/")[2]
        inputs = {"chat_history": history}
        self._turn = self.open_turn("chat", model, _TurnAssembler(), inputs, config)


def _field(message: dict[str, Any], name: str) -> Any:
    """A field by its name in JSON, or by the one in Python, which the API takes too."""
    if name in message:
        return message[name]
    return message.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def _message(content: dict[str, Any]) -> dict[str, Any]:
    role = content.get("role") or "user"
    parts = content.get("parts") or []
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    whole: Any = "".join(texts) if len(texts) == len(parts) else parts
    return {"role": {"model": "assistant"}.get(role, role), "content": whole}


class _Sound:
    """The sound and images that the program sends until the model answers."""

    def __init__(self) -> None:
        self.transcript = ""
        self._sound = MediaDigest()

    def add(self, chunk: dict[str, Any]) -> None:
        blobs = [chunk.get("audio"), chunk.get("video"), *(_field(chunk, "mediaChunks") or ())]
        for blob in blobs:
            if isinstance(blob, dict) and isinstance(blob.get("data"), str):
                data = base64.urlsafe_b64decode(blob["data"].replace("+", "-").replace("/", "_"))
                self._sound.update(data)

    def message(self) -> dict[str, Any] | None:
        if not self._sound.size and not self.transcript:
            return None
        media = {"type": "media", **self._sound.described()}
        transcript = {"transcript": self.transcript} if self.transcript else {}
        return {"role": "user", "content": [{**media, **transcript}]}


_SERVER_FIELDS = frozenset(
    {"modelTurn", "turnComplete", "generationComplete", "inputTranscription"}
    | {"outputTranscription", "interrupted"}
)


class _TurnAssembler:
    """A turn of the model, from its messages."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._spoken: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._others: list[Any] = []
        self._sound = _Sound()
        self._fields: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._end: str | None = None

    def add(self, message: dict[str, Any]) -> None:
        """Keep one message of the server."""
        self._usage = _field(message, "usageMetadata") or self._usage
        content = _field(message, "serverContent") or {}
        for part in (_field(content, "modelTurn") or {}).get("parts") or ():
            self._add_part(part)
        if spoken := (_field(content, "outputTranscription") or {}).get("text"):
            self._spoken.append(spoken)
        self._fields.update(other_fields(content, _SERVER_FIELDS))
        for call in _field(_field(message, "toolCall") or {}, "functionCalls") or ():
            self._calls.append(tool_call(call.get("id"), call.get("name"), call.get("args")))
            self._end = "tool_calls"
        if _field(content, "interrupted"):
            self._end = "interrupted"
        elif _field(content, "turnComplete"):
            self._end = _field(content, "turnCompleteReason") or "stop"

    def _add_part(self, part: dict[str, Any]) -> None:
        blob = _field(part, "inlineData")
        if isinstance(part.get("text"), str):
            (self._thoughts if part.get("thought") else self._texts).append(part["text"])
        elif blob is not None:
            self._sound.add({"audio": blob})
        else:
            self._others.append(part)

    def answer(self) -> Answer:
        """The turn as far as it has come."""
        text = "".join(self._texts) or "".join(self._spoken)
        outputs: dict[str, Any] = {"role": "assistant", "content": text or None}
        sound = self._sound.message()
        fields = {
            "tool_calls": self._calls,
            "reasoning": "".join(self._thoughts),
            "audio": None if sound is None else sound["content"][0],
            "parts": self._others,
        }
        outputs.update({name: value for name, value in fields.items() if value})
        metadata = _counts(self._usage)
        metadata["finish_reason"] = self._end
        metadata["stream_end"] = "cut" if self._end is None else None
        return Answer({**outputs, **self._fields}, without_none(metadata))


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Token counts; thoughts and the results of tools are counted beside answer and prompt."""

    def total(*names: str) -> int | None:
        counts = [count for name in names if (count := _field(usage, name)) is not None]
        return sum(counts) if counts else None

    return {
        "prompt_tokens": total("promptTokenCount", "toolUsePromptTokenCount"),
        "completion_tokens": total("responseTokenCount", "thoughtsTokenCount"),
        "total_tokens": total("totalTokenCount"),
        "cache_read_tokens": total("cachedContentTokenCount"),
        "reasoning_tokens": total("thoughtsTokenCount"),
    }
