"""OpenAI Agents: its own tracing interface tells of agents, tools, handoffs and model calls.

Its methods run in the task of the run. OpenAI's own processor stays: it is only joined by ours.
Invariant: a model span here and the openai SDK's call below it are one event.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
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
        """Join the trace processors."""
        if self._processor is None:
            self._processor = _Processor(calls)
            self._provider = module.get_trace_provider
            module.add_trace_processor(self._processor)

    def uninstall(self) -> None:
        """Leave the trace processors; where that is not possible, stay silent."""
        if self._processor is None:
            return
        self._processor.calls = None
        try:
            known = self._provider()._multi_processor
            known._processors = tuple(
                one for one in known._processors if one is not self._processor
            )
        except Exception:  # its insides have changed: the processor stays and does nothing
            pass
        self._processor = None


ENTRY = Entry(name="openai-agents", target="agents.tracing", make=OpenAIAgents)


class _Processor:
    """A trace processor, by the shape of the interface."""

    def __init__(self, calls: CallRecorder) -> None:
        self.calls: CallRecorder | None = calls
        self._open: dict[str, Span | ModelCall] = {}

    def on_trace_start(self, trace: Any) -> None:
        """A run begins."""
        if self.calls is not None and len(self._open) < _OPEN_MAX:
            metadata = without_none({"group_id": get_field(trace, "group_id")})
            span = self.calls.open(trace.name, "chain", metadata=metadata)
            if span is not None:
                self._open[trace.trace_id] = span

    def on_trace_end(self, trace: Any) -> None:
        """A run is over."""
        span = self._open.pop(trace.trace_id, None)
        if span is not None:
            span.end()

    def on_span_start(self, span: Any) -> None:
        """A step begins; what it is about may only be known at its end."""
        try:
            self._start(span)
        except Exception:
            pass

    def on_span_end(self, span: Any) -> None:
        """A step is over."""
        opened = self._open.pop(span.span_id, None)
        if opened is None:
            return
        try:
            _tell(opened, span)
        except Exception:
            pass
        opened.end()

    def shutdown(self) -> None:
        """Nothing to do: the tracer has its own exit."""

    def force_flush(self) -> None:
        """Nothing waits here."""

    def _start(self, span: Any) -> None:
        calls = self.calls
        if calls is None or len(self._open) >= _OPEN_MAX:
            return
        above = self._open.get(span.parent_id or "") or self._open.get(span.trace_id)
        parent = above.span if isinstance(above, ModelCall) else above
        held = span.span_data
        if held.type in _MODELS:
            call = calls.model("chat", config={"type": "chat", "provider": "openai"}, parent=parent)
            if call is not None:
                call.begin()
                self._open[span.span_id] = call
            return
        kind = "tool" if held.type == "function" else "chain"
        opened = calls.open(get_field(held, "name") or held.type, kind, parent=parent)
        if opened is not None:
            self._open[span.span_id] = opened


def _tell(opened: Span | ModelCall, span: Any) -> None:
    held = span.span_data
    target = opened.span if isinstance(opened, ModelCall) else opened
    target.set(metadata={"span_kind": held.type})
    if span.error:
        message = get_field(span.error, "message") or "error"
        target.set_error(str(message))
        target.set(metadata={"error": {"type": held.type, "message": str(message)}})
    if isinstance(opened, ModelCall):
        _tell_model(opened, held)
    elif held.type == "function":
        target.set(inputs={"input": held.input}, outputs=held.output)
    elif held.type == "agent":
        given = {"tools": held.tools, "handoffs": held.handoffs, "output_type": held.output_type}
        target.set(config=without_none(given))
    elif held.type == "handoff":
        target.set(inputs={"from": held.from_agent}, outputs={"to": held.to_agent})
    elif held.type == "guardrail":
        target.set(outputs={"triggered": held.triggered})
    elif held.type == "turn":
        target.name = f"turn {held.turn}"
    elif held.type == "custom":
        target.set(inputs=held.data)


def _tell_model(call: ModelCall, held: Any) -> None:
    """The model's input and output, as the span has them at its end."""
    asked = held.input
    history = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    if held.type == "response":
        if held.response is None:
            call.span.set(inputs={"chat_history": history or []})
            return
        outputs, metadata = response_answer(held.response)
        model = get_field(held.response, "model")
        instructions = get_field(held.response, "instructions")
        if isinstance(instructions, str) and isinstance(history, list):
            history = [{"role": "system", "content": instructions}, *history]
    else:
        outputs, metadata = _generation(held)
        model = held.model
    call.span.name = f"chat {model}"
    call.span.set(inputs={"chat_history": history or []}, config=without_none({"model": model}))
    call.end(outputs=outputs or UNSET, metadata=metadata)


def _generation(held: Any) -> tuple[Any, dict[str, Any]]:
    """Outputs and metadata of a generation: messages, or (streamed) a response of the other API."""
    shown = held.output or []
    if len(shown) == 1 and isinstance(get_field(shown[0], "output"), list):
        outputs, metadata = response_answer(shown[0])
        return outputs, {**metadata, **_usage(held.usage)}
    return shown[0] if len(shown) == 1 else {"choices": shown}, _usage(held.usage)


def _usage(usage: Any) -> dict[str, Any]:
    if not usage:
        return {}
    found = usage_of(usage)
    for ours, name in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")):
        if ours not in found and get_field(usage, name) is not None:
            found[ours] = get_field(usage, name)
    return found
