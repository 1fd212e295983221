"""OpenAI Agents: a trace processor records its agents, tools, handoffs and model calls.

The processor runs in the task of the run, beside OpenAI's own. Invariant: a model span here and the
openai SDK's call below it are one event.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.openai_family.chat_format import usage_of
from sessiontrace.instrumentation.openai_family.responses_format import response_answer

_MODELS = frozenset({"generation", "response"})
_OPEN_MAX = 10_000


class OpenAIAgents:
    """The instrumentor of openai-agents."""

    def __init__(self) -> None:
        self._processor: _Processor | None = None
        self._provider: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Add a trace processor."""
        if self._processor is None:
            self._processor = _Processor(calls)
            self._provider = module.get_trace_provider
            module.add_trace_processor(self._processor)

    def uninstall(self) -> None:
        """Remove the processor; where that is not possible, it records nothing more."""
        if self._processor is None:
            return
        self._processor.calls = None
        try:
            processors = self._provider()._multi_processor
            processors._processors = tuple(
                processor
                for processor in processors._processors
                if processor is not self._processor
            )
        except Exception:  # the SDK has no way to remove a processor, and these are its internals
            pass
        self._processor = None


ENTRY = Entry(name="openai-agents", target="agents.tracing", make=OpenAIAgents)


class _Processor:
    """A trace processor with the methods that the SDK calls."""

    def __init__(self, calls: CallRecorder) -> None:
        self.calls: CallRecorder | None = calls
        self._open: dict[str, Span | ModelCall] = {}

    def on_trace_start(self, trace: Any) -> None:
        """A run starts."""
        if self.calls is not None and len(self._open) < _OPEN_MAX:
            metadata = without_none({"group_id": get_field(trace, "group_id")})
            span = self.calls.open(trace.name, "chain", metadata=metadata)
            if span is not None:
                self._open[trace.trace_id] = span

    def on_trace_end(self, trace: Any) -> None:
        """A run has ended."""
        span = self._open.pop(trace.trace_id, None)
        if span is not None:
            span.end()

    @never_raises(None)
    def on_span_start(self, span: Any) -> None:
        """A step starts; most of its data is only there at its end."""
        calls = self.calls
        if calls is None or len(self._open) >= _OPEN_MAX:
            return
        enclosing = self._open.get(span.parent_id or "") or self._open.get(span.trace_id)
        parent = enclosing.span if isinstance(enclosing, ModelCall) else enclosing
        data = span.span_data
        if data.type in _MODELS:
            call = calls.model("chat", config={"type": "chat", "provider": "openai"}, parent=parent)
            if call is not None:
                call.begin()
                self._open[span.span_id] = call
            return
        kind = "tool" if data.type == "function" else "chain"
        opened = calls.open(get_field(data, "name") or data.type, kind, parent=parent)
        if opened is not None:
            self._open[span.span_id] = opened

    def on_span_end(self, span: Any) -> None:
        """A step has ended."""
        opened = self._open.pop(span.span_id, None)
        if opened is None:
            return
        _record_end(opened, span)
        opened.end()

    def shutdown(self) -> None:
        """Nothing to do: the tracer has its own exit hook."""

    def force_flush(self) -> None:
        """Nothing to do: events are in the spool already."""


@never_raises(None)
def _record_end(opened: Span | ModelCall, span: Any) -> None:
    data = span.span_data
    target = opened.span if isinstance(opened, ModelCall) else opened
    target.set(metadata={"span_kind": data.type})
    if span.error:
        message = get_field(span.error, "message") or "error"
        details = get_field(span.error, "data")
        if isinstance(details, dict) and details.get("error"):  # the model's own words
            message = f"{message}: {details['error']}"
        target.set_error(str(message))
        target.set(metadata={"error": {"type": data.type, "message": str(message)}})
    if isinstance(opened, ModelCall):
        _record_model_end(opened, data)
    elif data.type == "function":
        target.set(inputs={"input": data.input}, outputs=data.output)
    elif data.type == "agent":
        config = {"tools": data.tools, "handoffs": data.handoffs, "output_type": data.output_type}
        target.set(config=without_none(config))
    elif data.type == "handoff":
        target.set(inputs={"from": data.from_agent}, outputs={"to": data.to_agent})
    elif data.type == "guardrail":
        target.set(outputs={"triggered": data.triggered})
    elif data.type == "turn":
        target.name = f"turn {data.turn}"
    elif data.type == "custom":
        target.set(inputs=data.data)


def _record_model_end(call: ModelCall, data: Any) -> None:
    """Record the model's input and output, which the span has at its end."""
    model_input = data.input
    history = model_input
    if isinstance(model_input, str):
        history = [{"role": "user", "content": model_input}]
    if data.type == "response":
        if data.response is None:
            if history:  # it failed: the inputs of the SDK's call below stay
                call.span.set(inputs={"chat_history": history})
            return
        outputs, metadata = response_answer(data.response)
        model = get_field(data.response, "model")
        instructions = get_field(data.response, "instructions")
        if isinstance(instructions, str) and isinstance(history, list):
            history = [{"role": "system", "content": instructions}, *history]
    else:
        outputs, metadata = _generation(data)
        model = data.model
    call.span.name = f"chat {model}"
    inputs = {"chat_history": history} if history else None
    call.span.set(inputs=inputs, config=without_none({"model": model}))
    call.end(outputs=outputs or UNSET, metadata=metadata)


def _generation(data: Any) -> tuple[Any, dict[str, Any]]:
    """Outputs and metadata of a generation: messages or, streamed, a response of the other API."""
    messages = data.output or []
    if len(messages) == 1 and isinstance(get_field(messages[0], "output"), list):
        outputs, metadata = response_answer(messages[0])
        return outputs, {**metadata, **_usage(data.usage)}
    return messages[0] if len(messages) == 1 else {"choices": messages}, _usage(data.usage)


def _usage(usage: Any) -> dict[str, Any]:
    if not usage:
        return {}
    counts = usage_of(usage)
    for ours, name in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")):
        if ours not in counts and get_field(usage, name) is not None:
            counts[ours] = get_field(usage, name)
    return counts
