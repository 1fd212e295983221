"""One turn of Claude's agent: from a prompt to its result, with tools and subagents.

    the command line sends                  becomes
    --------------------------------------  -----------------------------------------------------
    an assistant's message                  a model event, see ``thread``
    a block that uses a tool                a tool event, until the result arrives
    a message below a tool's id             the same in a subagent, inside of that tool
    a result                                the end of the turn, with usage and cost

Runs in the task that reads the command line. Invariant: what is open when the turn ends, ends too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.capture.updates import update_ended
from sessiontrace.instrumentation.claude_agent_runs.thread import Thread, weight_of
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.response_fields import without_none

__all__ = ["NAME", "Turn"]

NAME = "Claude Agent"


class Turn:
    """A turn that is open; ``span``: the agent's event."""

    def __init__(self, calls: CallRecorder, span: Span, history: list[Any]) -> None:
        self._calls = calls
        self.span = span
        self._main = Thread(calls, span, history)
        self._threads: dict[str, Thread] = {}  # of subagents, by the id of the tool's use
        self._tools: dict[str, Span] = {}
        self._names: dict[str, tuple[str, Any]] = {}

    def assistant(self, data: Mapping[str, Any]) -> None:
        """An assistant's message, of the agent or of a subagent."""
        thread = self._thread(data)
        message = data.get("message") or {}
        thread.add_block(message, data.get("error"))
        for block in message.get("content") or ():
            if block.get("type") == "tool_use":
                self._use(thread, block)

    def user(self, data: Mapping[str, Any]) -> None:
        """Results of tools, or what a subagent is asked."""
        thread = self._thread(data)
        content = (data.get("message") or {}).get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_result":
                thread.end_answer()
                self._give(str(block.get("tool_use_id")), block)
        thread.add_message("user", content)

    def stream_event(self, data: Mapping[str, Any]) -> None:
        """An event of a streamed answer."""
        self._thread(data).add_event(data.get("event") or {})

    def add_prompt(self, content: Any) -> None:
        """A further message by the user within the turn."""
        self._main.add_message("user", content)

    def tool_by_id(self, key: str) -> Span | None:
        """The open tool of this id."""
        return self._tools.get(key)

    def tool_of(self, name: str) -> Span | None:
        """The tool of this name that is open longest."""
        for key, span in self._tools.items():
            if self._names[key][0] == name and span.state == OPEN:
                return span
        return None

    def result(self, data: Mapping[str, Any], cost: float | None) -> None:
        """The result of the turn; ``cost``: in dollars, of this turn alone."""
        usage = data.get("usage") or {}
        counted = sum(thread.completion_tokens for thread in self._all())
        beyond = (usage.get("output_tokens") or 0) - counted
        if beyond > 0:
            self._main.add_tokens(beyond)
        self._end_answers(cost)
        self._close_steps()
        answer = data.get("structured_output")
        answer = data.get("result") if answer is None else answer
        fields = {
            "claude_session_id": data.get("session_id"),
            "num_turns": data.get("num_turns"),
            "finish_reason": data.get("stop_reason"),
            "terminal_reason": data.get("terminal_reason"),
            "duration_api_ms": data.get("duration_api_ms"),
            "permission_denials": data.get("permission_denials") or None,
            "total_cost_usd": cost,
        }
        self.span.set(metadata=without_none(fields))
        if answer is not None and not data.get("is_error"):
            self.span.set(outputs={"role": "assistant", "content": answer})
        if data.get("is_error"):
            self.span.set_error(_error_of(data))

    def end(self, error: BaseException | None = None) -> None:
        """End what is open; ``error``: why the turn broke off."""
        self._main.end_answer()
        self._close_steps()
        if error is None:
            self.span.end()
        else:
            self.span.__exit__(type(error), error, error.__traceback__)

    def _use(self, thread: Thread, block: Mapping[str, Any]) -> None:
        key, name = str(block.get("id")), str(block.get("name"))
        span = self._calls.open(
            name,
            "tool",
            parent=thread.span,
            current=False,
            inputs=block.get("input"),
            config={"tool_name": name},
            metadata={"tool_call_id": key},
        )
        if span is not None:
            self._tools[key] = span
            self._names[key] = (name, block.get("input"))

    def _give(self, key: str, block: Mapping[str, Any]) -> None:
        outputs = _plain(block.get("content"))
        for span in (self._end_thread(key), self._tools.pop(key, None)):
            if span is None:
                continue
            if block.get("is_error"):
                span.set_error(outputs if isinstance(outputs, str) else str(outputs))
                span.end()
            else:
                span.end(outputs=UNSET if outputs is None else outputs)

    def _thread(self, data: Mapping[str, Any]) -> Thread:
        key = data.get("parent_tool_use_id")
        if key is None:
            return self._main
        thread = self._threads.get(key)
        return self._open_thread(str(key)) if thread is None else thread

    def _open_thread(self, key: str) -> Thread:
        _, inputs = self._names.get(key, ("", None))
        inputs = inputs if isinstance(inputs, dict) else {}
        name = str(inputs.get("subagent_type") or "subagent")
        parent: Handle = self._tools.get(key, self.span)
        prompt = inputs.get("prompt")
        history = [] if prompt is None else [{"role": "user", "content": prompt}]
        span = self._calls.open(
            name,
            "agent",
            parent=parent,
            current=False,
            inputs={"chat_history": history},
            metadata={"agent_name": name},
        )
        thread = Thread(self._calls, self.span if span is None else span, list(history))
        self._threads[key] = thread
        return thread

    def _end_thread(self, key: str) -> Span | None:
        """End the last answer of a subagent; returns its event, which is open."""
        thread = self._threads.get(key)
        if thread is None:
            return None
        thread.end_answer()
        return thread.span if thread.span is not self.span else None

    def _close_steps(self) -> None:
        for thread in self._threads.values():
            thread.end_answer()
            if thread.span is not self.span:
                thread.span.end()
        for span in self._tools.values():
            span.set(metadata={"control_flow": "the turn ended before the result"})
            span.end()
        self._tools.clear()

    def _end_answers(self, cost: float | None) -> None:
        """End the last answer; the turn's ``cost`` goes to all of them, by their tokens."""
        for thread in self._threads.values():
            thread.end_answer()
        ended = [entry for thread in self._all() for entry in thread.models]
        last = self._main.open_weight
        total = last + sum(weight_of(metadata) for _, metadata in ended)
        self._main.end_answer(None if cost is None or not last else cost * last / total)
        if cost is None:
            return
        for span, metadata in ended:
            share = {"cost": cost * weight_of(metadata) / total}
            update_ended(span, {"metadata": share})

    def _all(self) -> tuple[Thread, ...]:
        return self._main, *self._threads.values()


def _plain(content: Any) -> Any:
    """The content of a tool's result; blocks of text as one text."""
    if isinstance(content, list) and all(_is_text(block) for block in content):
        return "\n".join(str(block["text"]) for block in content)
    return content


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and "text" in block


def _error_of(data: Mapping[str, Any]) -> str:
    errors = data.get("errors")
    if isinstance(errors, list) and errors:
        return "; ".join(map(str, errors))
    return str(data.get("result") or data.get("subtype") or "error")
