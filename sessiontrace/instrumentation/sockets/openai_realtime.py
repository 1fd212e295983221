"""OpenAI's realtime API: one model call for each response, asked for or begun by the server.

Runs where the connection sends and receives. Invariant: sound is recorded by digest and size, never
as data.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.response_fields import pick
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.openai_family.media_endpoints import transcription_answer
from sessiontrace.instrumentation.sockets.openai_responses import provider_at
from sessiontrace.instrumentation.sockets.realtime_conversation import Conversation
from sessiontrace.instrumentation.sockets.realtime_response import RealtimeAssembler
from sessiontrace.instrumentation.sockets.socket_calls import SocketCalls

__all__ = ["OpenAiRealtime"]

_HYPERPARAMETERS = frozenset(
    {"temperature", "max_output_tokens", "max_response_output_tokens", "modalities"}
    | {"output_modalities", "tool_choice", "voice", "speed", "reasoning", "truncation"}
)


class OpenAiRealtime(SocketCalls):
    """A connection of ``realtime.connect``."""

    def __init__(self, calls: CallRecorder, host: str, query: str) -> None:
        super().__init__(calls, host, query)
        self.provider: str = provider_at(host)
        parameters = parse_qs(query)
        models = parameters.get("model") or parameters.get("deployment")
        self._session: dict[str, Any] = {"model": models[0] if models else None}
        self._conversation = Conversation()
        self._pending: list[tuple[Any, StreamObserver]] = []  # not created yet, by event id
        self._responses: dict[Any, StreamObserver] = {}

    def on_sent(self, message: dict[str, Any]) -> None:
        """Keep what goes into the conversation; open a call for each response asked for."""
        kind = message.get("type")
        if kind == "session.update":
            self._session.update(message.get("session") or {})
        elif kind == "response.create":
            turn = self._open(message.get("response") or {})
            if turn is not None:
                self._pending.append((message.get("event_id"), turn))
        else:
            self._conversation.sent(message)

    def on_received(self, message: dict[str, Any]) -> None:
        """Keep an event of a response, of the conversation or of the session."""
        kind = str(message.get("type"))
        if kind in ("session.created", "session.updated"):
            self._session.update(message.get("session") or {})
        elif kind == "error":
            self._fail(message.get("error") or {})
        elif kind == "conversation.item.input_audio_transcription.completed":
            self._conversation.received(message)
            self._record_transcription(message)
        elif kind.startswith("response."):
            self._receive(kind, message)
        else:
            self._conversation.received(message)

    def _receive(self, kind: str, message: dict[str, Any]) -> None:
        response = message.get("response") or {}
        identifier = message.get("response_id") or response.get("id")
        turn = self._responses.get(identifier)
        if turn is None and kind == "response.created":
            # Without one that the program asked for, the server has begun it: the user was silent.
            turn = self._pending.pop(0)[1] if self._pending else self._open({})
            if turn is not None:
                self._responses[identifier] = turn
        if turn is None:
            return
        turn.chunk(message)
        if kind == "response.done":
            del self._responses[identifier]
            self.end_turn(turn)

    def _open(self, options: dict[str, Any]) -> StreamObserver | None:
        session = {**self._session, **options}
        history = self._conversation.history(options.get("input"))
        if instructions := session.get("instructions"):
            history = [{"role": "system", "content": instructions}, *history]
        config: dict[str, Any] = pick(session, {"tools"})
        if hyperparameters := pick(session, _HYPERPARAMETERS):
            config["hyperparameters"] = hyperparameters
        inputs = {"chat_history": history}
        return self.open_turn("chat", session.get("model"), RealtimeAssembler(), inputs, config)

    def _fail(self, error: dict[str, Any]) -> None:
        """A request was refused: the one that the error names, or else the oldest."""
        event_id = error.get("event_id")
        for place, (identifier, turn) in enumerate(self._pending):
            if event_id is None or identifier == event_id:
                del self._pending[place]
                turn.chunk({"type": "error", "error": error})
                self.end_turn(turn)
                return

    def _record_transcription(self, message: dict[str, Any]) -> None:
        """What another model made of the user's sound; it has a bill of its own."""
        audio = self._session.get("audio") or {}
        settings = (audio.get("input") or self._session).get("transcription")
        settings = settings or self._session.get("input_audio_transcription") or {}
        inputs = self._conversation.sound_of(message.get("item_id"))
        assembler = _Transcript(message)
        turn = self.open_turn("transcription", settings.get("model"), assembler, inputs, {})
        if turn is not None:
            self.end_turn(turn)


class _Transcript:
    """A transcription that came whole."""

    def __init__(self, message: dict[str, Any]) -> None:
        self._message = message

    def add(self, chunk: Any) -> None:
        """Nothing follows."""

    def answer(self) -> Answer:
        """The text and its tokens or seconds."""
        message = self._message
        fields = {"text": message.get("transcript"), "usage": message.get("usage")}
        return transcription_answer(fields)
