"""Tool calls that nobody traced, read from what the model asked for and was then told.

Runs inside the model call that brings the answers, on its thread. Invariant: a tool event is only
made up for a call that was answered while nothing else was recorded under the same parent, and it
says that it was: its times are those between the two model calls.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.instrumentation.core.response_fields import get_field
from sessiontrace.model.ids import now_ns

__all__ = ["ToolCalls"]

_MOST = 1_000


class RequestedToolCall(NamedTuple):
    name: str
    arguments: Any
    at: int
    parent: Handle
    children: int


class ToolCalls:
    """What models have asked for and nobody has answered yet; the oldest are forgotten."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, RequestedToolCall] = OrderedDict()
        self._lock = threading.Lock()

    def asked(self, span: Handle, outputs: Any) -> None:
        """A model call under ``span``'s parent gave ``outputs``; call it before the span ends."""
        calls = outputs.get("tool_calls") if isinstance(outputs, dict) else None
        parent = span.parent
        if not calls or parent is None:
            return
        with self._lock:
            for call in calls:
                function = call["function"]
                if isinstance(call["id"], str):
                    self._asked[call["id"]] = RequestedToolCall(
                        str(function["name"]),
                        function["arguments"],
                        now_ns(),
                        parent,
                        len(parent.children_ids or ()),
                    )
            while len(self._asked) > _MOST:
                self._asked.popitem(last=False)

    def answered(self, recorder: TracerState, history: Any) -> None:
        """The next model call was given ``history``; call it before that call's span opens."""
        if not self._asked or not isinstance(history, (list, tuple)):
            return
        parent = recorder.current.get()
        found = []
        with self._lock:
            for call_id, result in _results(history):
                asked = self._asked.pop(call_id, None)
                if asked is not None and asked.parent is parent:
                    found.append((call_id, asked, result))
        children = 0 if parent is None else len(parent.children_ids or ())
        if any(asked.children != children for _, asked, _ in found):
            return  # something was recorded in between: the program traces its tools itself
        for call_id, asked, result in found:
            self._record(recorder, call_id, asked, result)

    def _record(
        self, recorder: TracerState, call_id: str, asked: RequestedToolCall, result: Any
    ) -> None:
        metadata = {"tool_call_id": call_id, "inferred": True}
        inputs = _decoded(asked.arguments)
        span = Span(recorder, asked.name, "tool", inputs, {"tool_name": asked.name}, metadata)
        span.open(asked.parent)
        span.start_ns = asked.at
        span.end(outputs=result)


def _decoded(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    import orjson

    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {"arguments": arguments}


def _results(history: Any) -> Iterator[tuple[str, Any]]:
    """The answers to tool calls among the last messages, in any of the three APIs' forms."""
    for message in reversed(history):
        if (
            get_field(message, "role") == "assistant"
            or get_field(message, "type") == "function_call"
        ):
            return
        if get_field(message, "role") == "tool":
            yield str(get_field(message, "tool_call_id")), get_field(message, "content")
        elif get_field(message, "type") == "function_call_output":
            yield str(get_field(message, "call_id")), get_field(message, "output")
        else:
            content = get_field(message, "content")
            for block in content if isinstance(content, list) else ():
                if get_field(block, "type") == "tool_result":
                    yield str(get_field(block, "tool_use_id")), get_field(block, "content")
