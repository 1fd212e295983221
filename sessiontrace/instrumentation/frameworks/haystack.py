"""Haystack: the operations that reach its tracer, beside the tracer that the program has set.

    an operation                        becomes
    ----------------------------------  --------------------------------------------------------
    a generator or an agent's llm step  a model event; the provider's SDK below contributes to it
    an embedder                         a model event, too
    an agent's tool step, a retriever   a tool event with arguments or query, and the documents
    any other: pipeline, agent, step    a chain event

Runs inside the operations. Invariant: the program's tracer gets what it would get without us.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from types import ModuleType, TracebackType
from typing import Any

from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.response_fields import get_field, tool_call, without_none
from sessiontrace.instrumentation.core.token_counts import reported_usage

_INPUTS = frozenset({"haystack.component.input", "haystack.pipeline.input_data"})
_OUTPUTS = frozenset({"haystack.component.output", "haystack.pipeline.output_data"})


class Haystack:
    """The instrumentor of haystack-ai."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the method through which every operation is traced, whichever tracer is set."""
        self._calls = calls
        span_class: Any = type("Span", (_SpanMethods, module.Span), {})
        self._patcher.patch(
            module.ProxyTracer, "trace", lambda original: self._wrap(original, span_class)
        )
        reporters["haystack"] = lambda: True

    def uninstall(self) -> None:
        """Put the method back."""
        self._calls = None
        self._patcher.restore()
        reporters.pop("haystack", None)

    def _wrap(self, original: Any, span_class: Any) -> Any:
        @functools.wraps(original)
        @contextlib.contextmanager
        def trace(
            tracer: Any, operation_name: str, tags: Any = None, parent_span: Any = None
        ) -> Iterator[Any]:
            outer = getattr(parent_span, "theirs", parent_span)
            with original(tracer, operation_name, tags=tags, parent_span=outer) as theirs:
                operation = self._open(operation_name, dict(tags or {}))
                if operation is None:
                    yield theirs
                    return
                with operation:
                    yield span_class(theirs, operation)

        return trace

    @never_raises(None)
    def _open(self, name: str, tags: dict[str, Any]) -> _Operation | None:
        calls = self._calls
        recorder = None if calls is None else calls.recorder()
        return None if calls is None or recorder is None else _Operation(calls, name, tags)


ENTRY = Entry(name="haystack", target="haystack.tracing.tracer", make=Haystack)


class _Operation:
    """One operation that is open. Its inputs arrive as tags, after its start."""

    def __init__(self, calls: CallRecorder, name: str, tags: dict[str, Any]) -> None:
        component = str(tags.get("haystack.component.type") or "")
        self._kind = _kind(name, component)
        self._span: Span | None = None
        self._call: ModelCall | None = None
        if self._kind in ("chat", "embeddings"):
            self._call = calls.model(self._kind, config={"type": self._kind})
        else:
            metadata = {"agent_name": "Agent"} if self._kind == "agent" else None
            self._span = calls.step(_name(name, tags), self._kind, metadata=metadata)
        for key in tags.keys() & _INPUTS:
            self.tag(key, tags[key])

    def __enter__(self) -> None:
        opened = self._span or self._call
        if opened is not None:
            opened.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._call is not None:
            self._call.__exit__(exc_type, error, tb)
            self._call.end() if error is None else self._call.fail(error)
        elif self._span is not None:
            self._span.__exit__(exc_type, error, tb)

    @never_raises(None)
    def tag(self, key: str, value: Any) -> None:
        """The operation has said something about itself."""
        if key in _INPUTS or key.endswith(".input"):
            self._set_inputs(value if isinstance(value, Mapping) else {"input": value})
        elif key in _OUTPUTS or key.endswith(".output"):
            self._set_outputs(value)

    def _set_inputs(self, value: Mapping[str, Any]) -> None:
        inputs = {name: _shaped(entry) for name, entry in value.items() if entry is not None}
        if self._call is None:
            if self._span is not None:
                self._span.set(inputs=inputs)
        elif "messages" in inputs:
            self._call.describe("chat", inputs={"chat_history": inputs["messages"]})
        else:
            self._call.describe(self._kind, inputs=inputs)

    def _set_outputs(self, value: Any) -> None:
        if self._span is not None:
            shaped = _shaped(value)
            self._span.set(outputs=shaped)
        elif self._call is not None and isinstance(value, Mapping):
            outputs, metadata = _answer(value)
            own = (self._call.span.field_group("config") or {}).get("model")
            if model := own or metadata.get("response_model"):
                self._call.describe(f"{self._kind} {model}", config={"model": model})
            self._call.end(outputs=outputs, metadata=metadata)


class _SpanMethods:
    """The methods of Haystack's span; mixed with its abstract class. ``theirs``: the program's."""

    def __init__(self, theirs: Any, operation: _Operation) -> None:
        self.theirs = theirs
        self._operation = operation

    def set_tag(self, key: str, value: Any) -> None:
        """A tag."""
        self.theirs.set_tag(key, value)
        self._operation.tag(key, value)

    def set_content_tag(self, key: str, value: Any) -> None:
        """A tag with content, which the program's tracer takes only where that is enabled."""
        self.theirs.set_content_tag(key, value)
        self._operation.tag(key, value)

    def raw_span(self) -> Any:
        """The program's own span."""
        return self.theirs.raw_span()

    def get_correlation_data_for_logs(self) -> Any:
        """As the program's span has them."""
        return self.theirs.get_correlation_data_for_logs()


def _kind(name: str, component: str) -> str:
    if name.endswith(".step.llm") or component.endswith("Generator"):
        return "chat"
    if component.endswith("Embedder"):
        return "embeddings"
    if name.endswith(".step.tool"):
        return "tool"
    if name == "haystack.agent.run":
        return "agent"
    for kind in ("retriever", "evaluator"):
        if component.endswith(kind.capitalize()):
            return kind
    return "chain"


def _name(name: str, tags: Mapping[str, Any]) -> str:
    if (tool := tags.get("haystack.tool.name")) is not None:
        return str(tool)
    if (step := tags.get("haystack.agent.step")) is not None:
        return f"step {step}"
    component = tags.get("haystack.component.name")
    return str(component or name.removeprefix("haystack."))


def _shaped(value: Any) -> Any:
    """Messages and documents as events show them; any other value as it is."""
    if isinstance(value, Mapping):
        return {name: _shaped(entry) for name, entry in value.items() if entry is not None}
    if isinstance(value, (list, tuple)):
        return [_shaped(entry) for entry in value]
    kind = type(value).__name__
    if kind == "ChatMessage":
        return _message(value)
    if kind == "Document":
        fields = ("content", "score", "meta", "id")
        return without_none({name: get_field(value, name) or None for name in fields})
    return value


def _message(value: Any) -> dict[str, Any]:
    role = getattr(value.role, "value", value.role)
    results = value.tool_call_results
    reasoning = getattr(value, "reasoning", None)
    fields: dict[str, Any] = {
        "tool_calls": [
            tool_call(call.id, call.tool_name, call.arguments) for call in value.tool_calls
        ]
        or None,
        "tool_call_id": results[0].origin.id if results else None,
        "reasoning": getattr(reasoning, "reasoning_text", None) or None,
    }
    content = results[0].result if results else value.text
    return {"role": str(role), "content": content, **without_none(fields)}


def _answer(value: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Outputs and metadata of a generator's replies, or of an embedder's vectors."""
    replies = value.get("replies")
    if replies is None:
        meta = value.get("meta") or {}
        vectors = value.get("documents") or [value.get("embedding")]
        return {"embeddings": len(vectors)}, _metadata(meta)
    metas = value.get("meta") or [get_field(reply, "meta") for reply in replies]
    messages = [
        _message(reply) if hasattr(reply, "role") else {"role": "assistant", "content": reply}
        for reply in replies
    ]
    if not messages:
        return UNSET, {}
    outputs = messages[0] if len(messages) == 1 else {"choices": messages}
    first = getattr(replies[0], "meta", None) or (metas[0] if metas else None)
    return outputs, _metadata(first or {})


def _metadata(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **reported_usage(meta.get("usage")),
        **without_none(
            {"response_model": meta.get("model"), "finish_reason": meta.get("finish_reason")}
        ),
    }
