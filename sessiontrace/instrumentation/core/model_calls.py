"""What an instrumentor records with: one model call, tool call or step at a time.

Several layers can report one model call: a framework, the provider's SDK below it, and
OpenTelemetry beside it. The outermost layer that is open makes the event; the layers inside only
contribute to it:

    langchain   invoke()   ModelCall ──── span "chat gpt-5" ──────> one event
                  │                          ^
    openai        └─ create()   ModelCall ───┘ contributes when it ends

A layer that opens a call gets

    this one        when, in this order
    --------------  --------------------------------------------------------------------------------
    a contribution  ``open_call`` is set in this context, its call has not ended, its span is open,
                    and it is of the same session as ``parent`` (of the same tracer, when there is
                    no parent)
    a contribution  ``parent``, by default the current span, is itself an open span of a call
    its own event   otherwise: also for a tool span inside a model span, whose calls are new ones

A contribution adds to the event

    field           when the event has it       when it does not
    --------------  --------------------------  -----------------
    config          kept                        added, key by key
    metadata        kept; token counts add up   added, key by key
                    over the calls of one
                    layer, not over layers
    metrics         kept                        added as a whole
    inputs, outputs kept                        added as a whole
    error           kept                        not added: an error is the outer layer's to report,
                                                if that layer lets it through

Runs inside user code, on the thread of the call. Invariant: nothing here raises into the call, and
a model call gives one model event.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, final

from sessiontrace.capture.handle import ENDED, OPEN, SUPPRESSED, Handle
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.contribution import add_missing, without_logprobs
from sessiontrace.instrumentation.core.placement import foreign_spans, innermost
from sessiontrace.instrumentation.core.token_counts import summed
from sessiontrace.instrumentation.core.tool_calls import ToolCalls
from sessiontrace.model.ids import now_by
from sessiontrace.model.step_types import CALL_TYPES, type_of_call

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState

__all__ = [
    "Answer",
    "CallRecorder",
    "ModelCall",
    "SpanFields",
    "open_call",
    "open_model",
    "restore",
]

_NO_COUNTS: dict[str, float] = {}  # never changed
_LARGE = frozenset({"logprobs", "choices"})  # where outputs may have log probabilities
_ON = frozenset({"1", "true", "yes", "on"})

open_call: ContextVar[ModelCall | None] = ContextVar("sessiontrace.call", default=None)
"""The call that this context is inside of: a call that a layer further in makes belongs to it."""


class Answer(NamedTuple):
    """What a model answered: the outputs of the event, and additions to its metadata.

    ``response_error`` in the metadata: the failure that an answer reports, sent all the same; it
    becomes the error of the event.
    """

    outputs: Any
    metadata: dict[str, Any]


class SpanFields(TypedDict, total=False):
    """The fields that a span can be opened with; their values are encoded at once."""

    inputs: object
    config: Mapping[str, object] | None
    metadata: Mapping[str, object] | None


class CallRecorder:
    """Opens calls in the session that is current where the call is made. One for each process.

    ``enabled``: False after ``uninstrument``, for the wrappers that could not be removed because
    another tracer had wrapped them. ``logprobs``: record the log probabilities that an answer has.
    ``open_default_session(recorder)``: makes a session current where a call finds none; None: the
    call becomes a session of its own.
    """

    __slots__ = ("_tools", "enabled", "logprobs", "open_default_session", "tracer")

    def __init__(self, tracer: TracerProtocol) -> None:
        self.tracer: TracerProtocol = tracer
        self.enabled: bool = True
        self.logprobs: bool = os.environ.get("SESSIONTRACE_LOGPROBS", "").lower() in _ON
        self.open_default_session: Callable[[TracerState], None] | None = None
        self._tools: ToolCalls | None = None

    def infer_tools(self) -> None:
        """Record the tools that models request, where the program does not record them itself."""
        self._tools = ToolCalls()

    def recorder(self, *, in_default_session: bool = True) -> TracerState | None:
        """The state to record with now; None when nothing is to be recorded.

        ``in_default_session``: open the default session where there is none. False for a caller
        that opens a session itself.
        """
        tracer = self.tracer
        if not self.enabled or tracer.off:
            return None
        recorder = tracer.recorder or tracer.begin()
        if recorder is None:
            return None
        current = recorder.current.get()
        if current is None:
            if in_default_session and self.open_default_session is not None:
                self.open_default_session(recorder)
        elif current.session.skip_reason == SUPPRESSED:
            return None
        return recorder

    def model(
        self,
        name: str,
        *,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        parent: Handle | None = None,
        recorder: TracerState | None = None,
        reports_tools: bool = False,
    ) -> ModelCall | None:
        """Open a model event, or a contribution to the one that is open; None when off.

        ``parent``: the span it belongs below, by default the current one. ``recorder``: the result
        of ``self.recorder()``, for a caller that has it. ``reports_tools``: the caller records the
        tools that the model requests, so none is inferred.
        """
        if recorder is None and (recorder := self.recorder()) is None:
            return None
        if parent is None:
            parent = recorder.current.get()
            if foreign_spans or (parent is not None and parent.state != OPEN):
                parent = innermost(recorder)
        layer = open_call.get()
        if layer is None and (parent is None or parent.type not in CALL_TYPES):
            outer = None
        else:
            outer = open_model(recorder, parent)
        if outer is not None:
            if inputs is not None and outer.lacks("inputs"):
                outer.set(inputs=inputs)
            return ModelCall(outer, config or {}, None)
        tools = None if reports_tools else self._tools
        if tools is not None and isinstance(inputs, dict):
            tools.record_answered(recorder, inputs.get("chat_history"))
        kind = type_of_call(config.get("type")) if config else "model"
        span = Span(recorder, name, kind, inputs, config, metadata)
        # Opened below the current span but not made current itself: a streamed answer outlives the
        # call, and its span may end in another task or thread.
        span.open(parent)
        for tracing in foreign_spans:
            tracing.model_opened(span)
        return ModelCall(span, None, tools, logprobs=self.logprobs)

    def open(
        self,
        name: str,
        type: str,
        parent: Handle | None = None,
        *,
        current: bool = True,
        **fields: Unpack[SpanFields],
    ) -> Span | None:
        """Open a span; for libraries that report a start and an end.

        ``current``: it becomes current where it starts. Its end may be reported in another
        context, so one that has ended is skipped by the spans that open after it.
        """
        recorder = self.recorder()
        if recorder is None:
            return None
        span = ReportedSpan(recorder, name, type, **fields)
        span.open(innermost(recorder) if parent is None else parent)
        if current:
            recorder.current.set(span)
        return span

    def step(self, name: str, type: str, **fields: Unpack[SpanFields]) -> Span | None:
        """A span for a ``with`` block; the spans that open inside are its children."""
        recorder = self.recorder()
        return None if recorder is None else Span(recorder, name, type, **fields)

    def tool(self, name: str, **fields: Unpack[SpanFields]) -> Span | None:
        """``step`` of the type "tool"."""
        return self.step(name, "tool", **fields)

    def chain(self, name: str, **fields: Unpack[SpanFields]) -> Span | None:
        """``step`` of the type "chain"."""
        return self.step(name, "chain", **fields)


@final
class ReportedSpan(Span):
    """A span whose start and end a library reports, maybe from different contexts."""

    __slots__ = ()

    outlives_context = True


@final
class ModelCall:
    """One model call: ``with call:`` around the work, then ``end``, now or after the stream.

    The calls that layers further in make inside the block belong to this one. ``end`` or ``fail``
    must follow the block; the first of them counts. ``subject``: an object by which a layer
    recognises its own call, until the call has ended. ``started``: nanoseconds, by the span's
    clock. ``inner_counts``: the tokens that layers further in reported to this contribution.
    ``inner_outputs``: the answer that a layer further in reported, until this layer ends.
    ``logprobs``: keep the field of this name in the outputs.
    """

    __slots__ = (
        "_config",
        "_enclosing",
        "_logprobs",
        "_outer",
        "_token",
        "_tools",
        "ended",
        "inner_counts",
        "inner_outputs",
        "span",
        "started",
        "subject",
    )

    def __init__(
        self,
        span: Handle,
        config: Mapping[str, object] | None,
        tools: ToolCalls | None,
        *,
        logprobs: bool = False,
    ) -> None:
        self.span: Handle = span
        self.started: int = span.start_ns if config is None else now_by(span.offset_ns)
        self.ended: bool = False
        self.subject: object = None
        self._config = config  # None where this call opened the span itself
        self._tools = tools
        self._logprobs = logprobs
        self._token: Token[ModelCall | None] | None = None
        self._outer: ModelCall | None = None  # the call that this one was begun in
        self._enclosing: ModelCall | None = None
        self.inner_counts: dict[str, float] = _NO_COUNTS
        self.inner_outputs: object = UNSET
        if config is not None and (layer := open_call.get()) is not None and layer.span is span:
            self._enclosing = layer

    def __enter__(self) -> ModelCall:
        self._token = open_call.set(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            restore(token)

    def begin(self) -> None:
        """Enter the call where there is no block, until ``leave`` or the end of the call."""
        outer = open_call.get()
        self._outer = None if outer is None or outer.ended else outer
        open_call.set(self)

    def leave(self) -> None:
        """Leave the call: what this context calls from here on is not part of it."""
        outer, self._outer = self._outer, None
        if open_call.get() is self:
            open_call.set(None if outer is None or outer.ended else outer)

    @property
    def is_contribution(self) -> bool:
        """Whether an outer layer made the event."""
        return self._config is not None

    def describe(
        self,
        name: str,
        *,
        inputs: object = None,
        outputs: object = UNSET,
        config: Mapping[str, object] | None = None,
    ) -> None:
        """Say what the call is, once that is known; of a contribution only the config counts."""
        if self._config is None:
            self.span.name = name
            self.span.set(inputs=inputs, outputs=outputs, config=config)
        else:
            self._config = {**self._config, **(config or {})}

    def age_ms(self) -> float:
        """Milliseconds since the call was opened."""
        return (now_by(self.span.offset_ns) - self.started) / 1_000_000

    def end(
        self,
        *,
        outputs: object = UNSET,
        metadata: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
    ) -> None:
        """End the call: it succeeded, its caller broke it off, or its answer reports a failure."""
        if self.ended:
            return
        self.ended = True
        self.subject = None
        if self._outer is not None or open_call.get() is self:
            self.leave()
        if self._config is not None:
            self._contribute(self._config, metadata or {}, metrics, outputs)
            return
        if outputs is UNSET:
            outputs, self.inner_outputs = self.inner_outputs, UNSET
        if not self._logprobs and type(outputs) is dict and not _LARGE.isdisjoint(outputs):
            outputs = without_logprobs(outputs)
        span = self.span
        if metadata is not None and "response_error" in metadata:
            span.set_error(str(metadata["response_error"]))
        span.set(outputs=outputs, metadata=metadata, metrics=metrics)
        span.end()
        if self._tools is not None:
            self._tools.remember_requests(span, outputs)

    def fail(
        self,
        error: BaseException,
        *,
        outputs: object = UNSET,
        metadata: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
    ) -> None:
        """End the call: it failed or was cancelled. ``outputs``: what had arrived by then."""
        if self.ended:
            return
        if self._config is not None:  # the error is the outer layer's to report
            self.end(outputs=outputs, metadata=metadata, metrics=metrics)
            return
        self.ended = True
        self.subject = None
        outputs = self._with_inner(outputs)
        if not self._logprobs:
            outputs = without_logprobs(outputs)
        self.span.set(outputs=outputs, metadata=metadata, metrics=metrics)
        self.span.__exit__(type(error), error, error.__traceback__)

    def _with_inner(self, outputs: object) -> object:
        """The outputs of this layer, or where it has none, those of the layer further in."""
        inner, self.inner_outputs = self.inner_outputs, UNSET
        return inner if outputs is UNSET else outputs

    def _contribute(
        self,
        config: Mapping[str, object],
        metadata: Mapping[str, object],
        metrics: Mapping[str, object] | None,
        outputs: object,
    ) -> None:
        span = self.span
        if span.state != OPEN:
            return
        counts = summed({}, metadata) or self.inner_counts
        outputs = self._with_inner(outputs)
        enclosing = self._enclosing
        if enclosing is not None and not enclosing.ended:
            enclosing.inner_outputs = enclosing.inner_outputs if outputs is UNSET else outputs
            if enclosing.is_contribution:  # what that layer counts includes this call
                enclosing.inner_counts = summed(enclosing.inner_counts, counts)
                counts = {}
        elif outputs is not UNSET and span.lacks("outputs"):
            span.set(outputs=without_logprobs(outputs))
        add_missing(span, config, metadata, counts, metrics)


def restore(token: Token[ModelCall | None]) -> None:
    """Undo ``open_call.set``, if this is still the context of it."""
    try:
        open_call.reset(token)
    except ValueError:  # a generator or coroutine was closed in another context
        pass


def open_model(recorder: TracerState, span: Handle | None = None) -> Handle | None:
    """The open model span that a call below ``span`` (default: the current one) contributes to.

    None when the call gets its own event; see the table above.
    """
    call = open_call.get()
    if span is None:
        span = recorder.current.get()
    if call is not None and not call.ended and _is_around(call.span, recorder, span):
        return call.span
    return span if span is not None and span.type in CALL_TYPES and span.state == OPEN else None


def _is_around(outer: Handle, recorder: TracerState, parent: Handle | None) -> bool:
    """Whether a call below ``parent`` can be part of the open call of ``outer``.

    A call whose library never reports its end stays open; it must not take in the calls that this
    context makes in other sessions.
    """
    session = outer.session
    if outer.state != OPEN or session.state == ENDED:
        return False
    return outer.recorder is recorder if parent is None else session is parent.session
