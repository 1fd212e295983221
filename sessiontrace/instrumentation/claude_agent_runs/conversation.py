"""A connection to Claude's command line: its turns, and the messages that arrive for them.

The SDK reads the command line in a task of its own; a proxy of the transport shows each message
there, when it arrives. Invariant: the SDK gets the messages as they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost
from sessiontrace.instrumentation.core.response_fields import get_field, without_none

if TYPE_CHECKING:
    from sessiontrace.instrumentation.claude_agent_runs.turn import Turn

__all__ = ["Conversation", "SeenTransport", "connecting"]

connecting: ContextVar[Conversation | None] = ContextVar("sessiontrace.claude", default=None)
"""The conversation whose transport this context opens."""


class Conversation:
    """The turns of a connection. ``one_turn``: all results belong to one turn, until the end."""

    def __init__(self, calls: CallRecorder, options: Any, *, one_turn: bool) -> None:
        self._calls = calls
        self._options = options
        self._one_turn = one_turn
        self._turns: deque[Turn] = deque()
        self._history: list[Any] = []
        self._cost = 0.0
        system = get_field(options, "system_prompt")
        if isinstance(system, str):
            self._history.append({"role": "system", "content": system})

    @never_raises(None)
    def begin(self, prompt: Any) -> Span | None:
        """A prompt begins a turn; returns the agent's event. None: its messages come later."""
        from sessiontrace.instrumentation.claude_agent_runs.turn import NAME, Turn

        recorder = self._calls.recorder()
        if recorder is None:
            return None
        if prompt is not None:
            self._history.append({"role": "user", "content": prompt})
        options = self._options
        config = {
            "model": get_field(options, "model"),
            "tools": list(get_field(options, "allowed_tools") or ()) or None,
            "agents": list(get_field(options, "agents") or ()) or None,
        }
        span = self._calls.open(
            NAME,
            "agent",
            parent=innermost(recorder),
            current=False,
            inputs={"chat_history": list(self._history)},
            config=without_none(config),
            metadata={"agent_name": NAME},
        )
        if span is not None:
            self._turns.append(Turn(self._calls, span, self._history))
        return span

    def watched(self, prompt: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """The messages of a streamed prompt, which are in the history of the turn."""

        async def messages() -> AsyncIterator[Any]:
            async for message in prompt:
                self._prompted(message)
                yield message

        return messages()

    @never_raises(None)
    def _prompted(self, message: Any) -> None:
        content = get_field(get_field(message, "message"), "content")
        if self._turns and content is not None:
            self._turns[-1].add_prompt(content)

    @never_raises(None)
    def see(self, data: Any) -> None:
        """A message of the command line."""
        if not self._turns or not isinstance(data, Mapping):
            return
        turn, kind = self._turns[0], data.get("type")
        if kind == "assistant":
            turn.assistant(data)
        elif kind == "user":
            turn.user(data)
        elif kind == "stream_event":
            turn.stream_event(data)
        elif kind == "result":
            turn.result(data, self._cost_of(data))
            if not self._one_turn:
                self._turns.popleft().end()

    @never_raises(None)
    def end(self, error: BaseException | None = None, *, closed: bool = False) -> None:
        """The connection ends; ``closed``: its reader has broken it off."""
        while self._turns:
            turn = self._turns.popleft()
            if closed:
                turn.span.set(metadata={"stream_end": "closed"})
            turn.end(error)

    @never_raises(None)
    def tool_of(self, server: str, message: Mapping[str, Any]) -> Handle | None:
        """The tool event that a request of a server in this process is about."""
        if not self._turns or message.get("method") != "tools/call":
            return None
        name = f"mcp__{server}__{(message.get('params') or {}).get('name')}"
        return self._turns[0].tool_of(name)

    @never_raises(None)
    def place_of(self, request: Mapping[str, Any]) -> Span | None:
        """The event below which the program answers a request: the tool's or the agent's."""
        if not self._turns:
            return None
        turn, key = self._turns[0], (request.get("request") or {}).get("tool_use_id")
        return turn.tool_by_id(str(key)) or turn.span

    def _cost_of(self, data: Mapping[str, Any]) -> float | None:
        """The cost of a turn; the command line counts that of the whole connection."""
        total = data.get("total_cost_usd")
        if not isinstance(total, (int, float)):
            return None
        before, self._cost = self._cost, float(total)
        return total - before if total >= before else float(total)


class SeenTransport:
    """A transport whose messages a conversation sees."""

    def __init__(self, transport: Any, conversation: Conversation) -> None:
        self._transport = transport
        self._conversation = conversation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def read_messages(self) -> AsyncIterator[Any]:
        """The messages, as they arrive."""
        async for message in self._transport.read_messages():
            self._conversation.see(message)
            yield message
