"""One line of thought in a run of Claude's agent: that of the agent, or of one subagent.

The command line sends a message for each block of an answer; blocks of one answer have one id.
Each answer becomes a model event, from what came before it to its last block. Runs in the task that
reads the command line. Invariant: a model event is open only until anything else arrives in its
thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.openai_family.anthropic_messages import message_answer
from sessiontrace.model.ids import now_by

__all__ = ["Thread", "weight_of"]

_ANSWER = 5
"""A token of an answer costs about as much as this many of a prompt."""


def weight_of(metadata: Mapping[str, Any]) -> int:
    """How much an answer costs beside others of the same turn, by its tokens; at least 1."""
    prompt, answer = (metadata.get(f"{part}_tokens") or 0 for part in ("prompt", "completion"))
    return max(int(prompt + _ANSWER * answer), 1)


class Thread:
    """The conversation of an agent. ``span``: its event. ``models``: those that have ended."""

    def __init__(self, calls: CallRecorder, span: Span, history: list[Any]) -> None:
        self._calls = calls
        self.span = span
        self.models: list[tuple[Span, dict[str, Any]]] = []
        self._history = history
        self._message: dict[str, Any] = {}
        self._call: ModelCall | None = None
        self._error: str | None = None
        self._usage: dict[str, Any] = {}
        self._ready_ns = self._last_ns = self._now()

    def _now(self) -> int:
        return now_by(self.span.offset_ns)

    @property
    def completion_tokens(self) -> int:
        """What the answers of this thread count so far, the open one included."""
        ended = sum(metadata.get("completion_tokens") or 0 for _, metadata in self.models)
        return ended + ((self._message.get("usage") or {}).get("output_tokens") or 0)

    def add_block(self, message: Mapping[str, Any], error: Any) -> None:
        """A block of an answer, or several."""
        if self._call is None or message.get("id") != self._message.get("id"):
            self.end_answer()
            self._open(message)
        content = [*(self._message.get("content") or ()), *(message.get("content") or ())]
        stated = {name: value for name, value in message.items() if value is not None}
        self._message = {**self._message, **stated, "content": content}
        self._error = str(error) if error else None
        self._last_ns = self._now()

    def add_event(self, event: Mapping[str, Any]) -> None:
        """An event of a stream: the start of an answer, or its counts at the end."""
        kind = event.get("type")
        if kind == "message_start":
            self.end_answer()
            self._open(event.get("message") or {})
        elif kind == "message_delta":
            self._usage = {**self._usage, **(event.get("usage") or {})}

    def add_message(self, role: str, content: Any) -> None:
        """A message of the conversation that is not an answer; the next answer is about it."""
        self.end_answer()
        self._history.append({"role": role, "content": content})
        self._ready_ns = self._now()

    def add_tokens(self, count: int) -> None:
        """Tokens that the open answer has beyond those that its message counts."""
        usage = self._message.get("usage")
        if self._call is not None and usage:
            total = (usage.get("output_tokens") or 0) + count
            self._message["usage"] = {**usage, "output_tokens": total}

    @property
    def open_weight(self) -> int:
        """How much the open answer costs beside others; 0 where none is open."""
        usage = {**(self._message.get("usage") or {}), **self._usage}
        return 0 if self._call is None else weight_of(message_answer({"usage": usage}).metadata)

    def end_answer(self, cost: float | None = None) -> None:
        """End the model event that is open; ``cost``: in dollars, where it is known."""
        call, self._call = self._call, None
        if call is None:
            return
        message, self._message = self._message, {}
        usage, self._usage = self._usage, {}
        message["usage"] = {**(message.get("usage") or {}), **usage}
        outputs, metadata = message_answer(message)
        self._history.append({"role": "assistant", "content": message.get("content")})
        if cost is not None:
            metadata["cost"] = cost
        if self._error is not None:
            metadata["response_error"] = self._error
        span = call.span
        if isinstance(span, Span):
            self.models.append((span, metadata))
            span.offset_ns -= max(now_by(span.offset_ns) - self._last_ns, 0)
        call.end(outputs=outputs, metadata=metadata)
        self._ready_ns = self._now()

    def _open(self, message: Mapping[str, Any]) -> None:
        model = str(message.get("model") or "")
        call = self._calls.model(
            f"chat {model}",
            inputs={"chat_history": list(self._history)},
            config={"type": "chat", "model": model, "provider": "anthropic"},
            parent=self.span,
            reports_tools=True,
        )
        self._call = call
        self._message = {"id": message.get("id")}
        self._last_ns = self._now()
        if call is not None and isinstance(call.span, Span):
            call.span.start_ns = self._ready_ns
