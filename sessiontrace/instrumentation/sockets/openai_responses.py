"""OpenAI's responses API over a websocket: many responses, one after the other or in lanes.

Runs where the connection sends and receives. Invariant: an answer has the shape that it has over
HTTP.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.response_fields import pick
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.openai_family.endpoints import HOSTS
from sessiontrace.instrumentation.openai_family.responses_format import (
    ResponseAssembler,
    response_request,
)
from sessiontrace.instrumentation.sockets.socket_calls import SocketCalls

__all__ = ["OpenAiResponses", "provider_at"]

_FINAL = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"}
)


class OpenAiResponses(SocketCalls):
    """A connection of ``responses.connect``."""

    def __init__(self, calls: CallRecorder, host: str, query: str) -> None:
        super().__init__(calls, host, query)
        self.provider: str = provider_at(host)
        self._lanes: dict[Any, deque[StreamObserver]] = {}

    def on_sent(self, message: dict[str, Any]) -> None:
        """Open a call for each response that the program asks for."""
        if message.get("type") != "response.create":
            return
        nested = message.get("response")
        body = nested if isinstance(nested, dict) else message
        inputs, hyperparameters = response_request(body)
        config: dict[str, Any] = pick(body, {"tools"})
        if hyperparameters:
            config["hyperparameters"] = hyperparameters
        turn = self.open_turn("chat", body.get("model"), ResponseAssembler(), inputs, config)
        if turn is not None:
            self._lanes.setdefault(message.get("stream_id"), deque()).append(turn)

    def on_received(self, message: dict[str, Any]) -> None:
        """Keep an event of the first response of its lane; the last one ends the call."""
        lane = message.get("stream_id")
        turns = self._lanes.get(lane)
        if not turns:
            return
        turns[0].chunk(message)
        if message.get("type") in _FINAL:
            self.end_turn(turns.popleft())
            if not turns:
                del self._lanes[lane]


def provider_at(host: str) -> str:
    """Who answers at ``host``, as OpenTelemetry's conventions name it."""
    if host.endswith((".openai.azure.com", ".cognitiveservices.azure.com")):
        return "azure.ai.openai"
    return HOSTS.get(host, "openai")
