"""Inferring the tool calls of a program that does not trace its tools.

A model requests a tool in its answer; the history of the next model call holds the result. The tool
event is inferred from the two, with the times between the two model calls. Runs inside the second
model call, on its thread. Invariant: an inferred event is marked as such, and there is none where
the program recorded anything else under the same parent in between.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.instrumentation.core.response_fields import get_field
from sessiontrace.model.ids import now_by
from sessiontrace.runtime.reentrant_lock import ReentrantLock

__all__ = ["ToolCalls"]

_REQUESTS_MAX = 1_000


class RequestedToolCall(NamedTuple):
    """A tool that a model requested below ``parent``, which then had ``children`` events."""

    name: str
    arguments: Any
    requested_ns: int
    offset_ns: int
    parent: Handle
    children: int


class ToolCalls:
    """The requested tool calls whose results have not been seen; the oldest are forgotten."""

    def __init__(self) -> None:
        self._requests: OrderedDict[str, RequestedToolCall] = OrderedDict()
        self._lock = ReentrantLock()

    def remember_requests(self, span: Handle, outputs: Any) -> None:
        """Remember the tools that a model requested in ``outputs``; its ``span`` has ended."""
        calls = outputs.get("tool_calls") if isinstance(outputs, dict) else None
        parent = span.parent
        if not calls or parent is None:
            return
        with self._lock:
            for call in calls:
                function = call["function"]
                if isinstance(call["id"], str):
                    self._requests[call["id"]] = RequestedToolCall(
                        str(function["name"]),
                        function["arguments"],
                        now_by(span.offset_ns),
                        span.offset_ns,
                        parent,
                        len(parent.children_ids or ()),
                    )
            while len(self._requests) > _REQUESTS_MAX:
                self._requests.popitem(last=False)

    def record_answered(self, recorder: TracerState, history: Any) -> None:
        """Record the tools with results in the ``history`` of a model call, before it opens."""
        if not self._requests or not isinstance(history, (list, tuple)):
            return
        parent = recorder.current.get()
        answered = []
        with self._lock:
            for call_id, result in _results(history):
                request = self._requests.pop(call_id, None)
                if request is not None and request.parent is parent:
                    answered.append((call_id, request, result))
        children = 0 if parent is None else len(parent.children_ids or ())
        if any(request.children != children for _, request, _ in answered):
            return  # something was recorded in between: the program traces its tools itself
        for call_id, request, result in answered:
            _record(recorder, call_id, request, result)


def _record(recorder: TracerState, call_id: str, request: RequestedToolCall, result: Any) -> None:
    metadata = {"tool_call_id": call_id, "inferred": True}
    inputs = _parse_arguments(request.arguments)
    config = {"tool_name": request.name}
    span = Span(recorder, request.name, "tool", inputs, config, metadata)
    span.open(request.parent)
    span.start_ns, span.offset_ns = request.requested_ns, request.offset_ns
    span.end(outputs=result)


def _parse_arguments(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    import orjson

    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {"arguments": arguments}


def _results(history: Any) -> Iterator[tuple[str, Any]]:
    """The ids and results of tool calls among the last messages, in the form of any API."""
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
