"""A trace processor beside OpenAI's own: its agents, tools, hand-offs and model calls as events.

    a span of the SDK              becomes
    -----------------------------  --------------------------------------------------------------
    trace                          a chain; a turn of the conversation ``group_id`` where no
                                   session is open
    task of the trace's own name   nothing; what it holds belongs to the trace
    agent, turn, guardrail, ...    a chain; an agent, and what is around it, has the inputs of its
                                   first model call and the outputs of its last
    function                       a tool with its arguments and the id of the model's request
    generation, response           a model event; the SDK's call below contributes to it

The processor's methods run in the task of the run. Invariant: they raise nothing, and a span whose
end is never reported holds back no other.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import deeper, innermost
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.openai_agents_runs.span_data import (
    error_message,
    model_answer,
    model_inputs,
    model_settings,
    tool_inputs,
)

__all__ = ["Processor"]

_FRAMEWORK = {"framework": "openai-agents"}

_MODELS = frozenset({"generation", "response"})
_TYPES = {"function": "tool", "agent": "agent", "guardrail": "guardrail"}
_GROUPS = frozenset({"chain", "agent"})
"""Steps that have the inputs and outputs of the model calls in them."""
_OPEN_MAX = 10_000


class _Step:
    """An open span of the SDK. ``handle``: the event that its own spans go below.

    ``inputs`` and ``outputs``: of its first and last model call. ``requests``: the ids of the tool
    calls that its models requested, by name and arguments.
    """

    __slots__ = ("above", "call", "conversation", "handle", "inputs", "outputs", "requests", "span")

    def __init__(self, above: _Step | None, handle: Handle | None) -> None:
        self.above = above
        self.handle = handle
        self.span: Span | None = None
        self.call: ModelCall | None = None
        self.conversation: Session | None = None
        self.inputs: Any = None
        self.outputs: Any = UNSET
        self.requests: dict[tuple[Any, Any], list[Any]] = {}


class Processor:
    """The methods that the SDK calls. ``calls``: None once it has been uninstalled."""

    def __init__(self, calls: CallRecorder) -> None:
        self.calls: CallRecorder | None = calls
        self._open: dict[str, _Step] = {}

    @never_raises(None)
    def on_trace_start(self, trace: Any) -> None:
        """A run starts."""
        calls = self.calls
        recorder = None if calls is None else calls.recorder(in_default_session=False)
        if calls is None or recorder is None or len(self._open) >= _OPEN_MAX:
            return
        group_id = get_field(trace, "group_id")
        conversation: Session | None = None
        if group_id is not None and innermost(recorder) is None:
            conversation = Session(recorder, trace.name, session_id=str(group_id))
            conversation = conversation if conversation.open_here() else None
        metadata = {**(get_field(trace, "metadata") or {}), "group_id": group_id}
        span = calls.open(
            trace.name, "chain", parent=conversation, metadata=without_none(metadata) or None
        )
        if span is not None:
            step = self._open[trace.trace_id] = _Step(None, span)
            step.span, step.conversation = span, conversation

    @never_raises(None)
    def on_trace_end(self, trace: Any) -> None:
        """A run has ended."""
        step = self._open.pop(trace.trace_id, None)
        if step is not None:
            _end_chain(step)

    @never_raises(None)
    def on_span_start(self, span: Any) -> None:
        """A step starts; most of its data is only there at its end."""
        calls = self.calls
        recorder = None if calls is None else calls.recorder()
        if calls is None or recorder is None or len(self._open) >= _OPEN_MAX:
            return
        above = self._open.get(span.parent_id or "") or self._open.get(span.trace_id)
        parent = deeper(innermost(recorder), None if above is None else above.handle)
        data = span.span_data
        name = get_field(data, "name") or data.type
        step = _Step(above, parent)
        if data.type in _MODELS:
            step.call = calls.model(
                "chat", config={"type": "chat"}, metadata=_FRAMEWORK, parent=parent
            )
            if step.call is not None:
                step.call.begin()
                step.handle = step.call.span
        elif not (data.type == "task" and above is not None and _is_of(above, name)):
            kind = _TYPES.get(data.type, "chain")
            step.handle = step.span = calls.open(name, kind, parent=parent)
        self._open[span.span_id] = step

    @never_raises(None)
    def on_span_end(self, span: Any) -> None:
        """A step has ended."""
        step = self._open.pop(span.span_id, None)
        if step is None:
            return
        try:
            if step.call is not None:
                _read_model(step, step.call, span)
            elif step.span is not None:
                _read_step(step, step.span, span)
        finally:
            if step.call is not None:
                step.call.end()
            else:
                _end_chain(step)

    def shutdown(self) -> None:
        """Nothing to do: the tracer has its own exit hook."""

    def force_flush(self) -> None:
        """Nothing to do: events are in the spool already."""


def _is_of(trace: _Step, name: Any) -> bool:
    return trace.above is None and trace.span is not None and trace.span.name == name


def _end_chain(step: _Step) -> None:
    """End a chain with the inputs and outputs of the model calls in it, and pass them on."""
    above = step.above
    if above is not None:
        above.inputs = step.inputs if above.inputs is None else above.inputs
        above.outputs = above.outputs if step.outputs is UNSET else step.outputs
    if step.span is None:
        return
    if step.span.type in _GROUPS and step.span.lacks("inputs"):
        step.span.set(inputs=step.inputs)
    if step.span.type in _GROUPS and step.span.lacks("outputs"):
        step.span.set(outputs=step.outputs)
    step.span.end()
    if step.conversation is not None:
        step.conversation.set(inputs=step.inputs)
        step.conversation.end(outputs=step.outputs)


def _read_model(step: _Step, call: ModelCall, span: Any) -> None:
    """The model's input and output, which the span has at its end."""
    data = span.span_data
    history = model_inputs(data)
    inputs = None if history is None else {"chat_history": history}
    settings = model_settings(data)
    model = settings.get("model") or (call.span.field_group("config") or {}).get("model")
    call.describe(f"chat {model}" if model else "chat", inputs=inputs, config=settings)
    outputs, metadata = model_answer(data)
    if span.error:
        text = error_message(span.error)
        call.span.set_error(text)
        metadata["error"] = {"type": data.type, "message": text}
    call.end(outputs=UNSET if outputs is None else outputs, metadata=metadata)
    above = step.above
    if above is not None:
        above.inputs = inputs if above.inputs is None else above.inputs
        above.outputs = above.outputs if outputs is None else outputs
    _remember_requests(step, outputs)


def _remember_requests(step: _Step, outputs: Any) -> None:
    """The tools that the model requests run beside it: below its turn or its agent."""
    for call in get_field(outputs, "tool_calls") or ():
        function = get_field(call, "function")
        key = get_field(function, "name"), get_field(function, "arguments")
        above = step.above
        while above is not None:
            above.requests.setdefault(key, []).append(get_field(call, "id"))
            above = above.above


def _request_id(step: _Step, name: Any, arguments: Any) -> Any:
    above, request_id = step.above, None
    while above is not None:
        ids = above.requests.get((name, arguments))
        if ids:
            request_id = ids.pop(0) if request_id is None else request_id
            if request_id in ids:
                ids.remove(request_id)
        above = above.above
    return request_id


def _read_step(step: _Step, target: Span, span: Any) -> None:
    data = span.span_data
    metadata: dict[str, Any] = {} if data.type == target.type else {"span_kind": data.type}
    if span.error:
        text = error_message(span.error)
        target.set_error(text)
        metadata["error"] = {"type": data.type, "message": text}
    if data.type == "function":
        request_id = _request_id(step, data.name, data.input)
        metadata.update(without_none({"tool_call_id": request_id}))
        mcp = get_field(data, "mcp_data")
        target.set(
            inputs=tool_inputs(data.input),
            outputs=UNSET if data.output is None else data.output,
            config=without_none({"tool_name": data.name, "mcp": mcp}),
        )
    elif data.type == "agent":
        config = {"tools": data.tools, "handoffs": data.handoffs, "output_type": data.output_type}
        target.set(config={name: value for name, value in config.items() if value})
        metadata["agent_name"] = data.name
    elif data.type == "handoff":
        target.set(inputs={"from": data.from_agent}, outputs={"to": data.to_agent})
    elif data.type == "guardrail":
        target.set(outputs={"triggered": data.triggered})
    elif data.type == "turn":
        target.name = f"turn {data.turn}"
    elif data.type == "custom":
        target.set(inputs=data.data)
    elif data.type == "mcp_tools":
        target.set(inputs=without_none({"server": data.server}), outputs={"tools": data.result})
    target.set(metadata=metadata)
