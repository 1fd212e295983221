"""Calls: what an instrumentor records with, one model call, tool call or step at a time.

Runs inside user code, on the thread of the call. Invariants: nothing here raises into the call,
and a model call gives one model event however many layers report it: the outermost that is still
open is the event, the layers inside only add what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict, final

from sessiontrace.capture.handle import ENDED, OPEN, SUPPRESSED, Handle
from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.tool_calls import ToolCalls
from sessiontrace.model.ids import now_ns

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState

__all__ = [
    "Answer",
    "CallRecorder",
    "ModelCall",
    "Parts",
    "foreign_spans",
    "innermost",
    "open_call",
    "open_model",
    "restore",
]

_COUNTED = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


class ForeignSpans(Protocol):
    """Knows the events of spans that another tracing system has open."""

    def current(self, recorder: TracerState) -> Handle | None:
        """The event below which a call made here belongs, if that system knows one."""
        ...


foreign_spans: list[ForeignSpans] = []

open_call: ContextVar[ModelCall | None] = ContextVar("sessiontrace.call", default=None)
"""The call that is being made here: what a layer further in does belongs to it."""


class Answer(NamedTuple):
    """What came back: the event's outputs, and what belongs to its metadata."""

    outputs: Any
    metadata: dict[str, Any]


class Parts(TypedDict, total=False):
    """What a span may be given when it is made; values are encoded at once."""

    inputs: object
    config: Mapping[str, object] | None
    metadata: Mapping[str, object] | None


class CallRecorder:
    """Opens calls in the session that is current where it is asked. One for each process.

    ``enabled``: False after ``uninstrument``; wrappers that could not be taken out again, because
    someone else wrapped them, then pass everything through. ``home``: makes a session current where
    a call finds none.
    """

    __slots__ = ("_tools", "enabled", "home", "switch")

    def __init__(self, switch: TracerProtocol) -> None:
        self.switch = switch
        self.enabled = True
        self.home: Callable[[TracerState], None] | None = None
        self._tools: ToolCalls | None = None

    def infer_tools(self) -> None:
        """Make tool events of what models ask for, where the program records none."""
        self._tools = ToolCalls()

    def recorder(self, *, at_home: bool = True) -> TracerState | None:
        """Where to record now; None when nothing is to be recorded.

        ``at_home`` False: what comes opens a session of its own where there is none.
        """
        switch = self.switch
        if not self.enabled or switch.off:
            return None
        recorder = switch.recorder or switch.begin()
        if recorder is None:
            return None
        current = recorder.current.get()
        if current is None:
            if at_home and self.home is not None:
                self.home(recorder)
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
    ) -> ModelCall | None:
        """Open a model event, or a contribution to the one that is open; None when off.

        ``parent``: where it belongs, default below what is current. ``recorder``: what
        ``self.recorder()`` gave, for who had to ask before.
        """
        if recorder is None and (recorder := self.recorder()) is None:
            return None
        if parent is None:
            parent = innermost(recorder)
        outer = open_model(recorder, parent)
        if outer is not None:
            return ModelCall(outer, config or {}, None)
        tools = self._tools
        if tools is not None and isinstance(inputs, dict):
            tools.answered(recorder, inputs.get("chat_history"))
        span = Span(recorder, name, "model", inputs, config, metadata)
        # Open below what is current, but nobody's current span itself: it may end in another task
        # or thread than it began in, since a streamed answer outlives the call.
        span.open(parent)
        return ModelCall(span, None, tools)

    def open(
        self, name: str, type: str, parent: Handle | None = None, **parts: Unpack[Parts]
    ) -> Span | None:
        """A span for libraries that tell of a start and an end; current until it has ended."""
        recorder = self.recorder()
        if recorder is None:
            return None
        span = Span(recorder, name, type, **parts)
        span.open(innermost(recorder) if parent is None else parent)
        recorder.current.set(span)
        return span

    def tool(self, name: str, **parts: Unpack[Parts]) -> Span | None:
        """A tool span to be used with ``with``, so that what runs inside is its child."""
        recorder = self.recorder()
        return None if recorder is None else Span(recorder, name, "tool", **parts)

    def chain(self, name: str, **parts: Unpack[Parts]) -> Span | None:
        """A chain span to be used with ``with``, so that what runs inside is its child."""
        recorder = self.recorder()
        return None if recorder is None else Span(recorder, name, "chain", **parts)


@final
class ModelCall:
    """One model call. ``with call:`` around the work; then ``end``, now or when it has streamed.

    The block only says how long a call made by a layer further in belongs to this one; ``end`` or
    ``fail`` must follow it, and the first of them counts. ``subject``: what tells one layer's call
    from another's, until the call has ended. ``started``: nanoseconds, of the package's clock.
    """

    __slots__ = ("_config", "_token", "_tools", "ended", "span", "started", "subject")

    def __init__(
        self, span: Handle, config: Mapping[str, object] | None, tools: ToolCalls | None
    ) -> None:
        self.span = span
        self.started = now_ns() if config is not None else span.start_ns
        self.ended = False
        self.subject: object = None
        self._config = config  # given where the span is another layer's
        self._tools = tools
        self._token: Token[ModelCall | None] | None = None

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
        """Like entering the block, where there is none: until ``leave``, or the call has ended."""
        open_call.set(self)

    def leave(self) -> None:
        """What is called from here on is no part of this call."""
        if open_call.get() is self:
            open_call.set(None)

    def age_ms(self) -> float:
        """Milliseconds since the call was opened."""
        return (now_ns() - self.started) / 1_000_000

    def end(
        self,
        *,
        outputs: object = UNSET,
        metadata: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
    ) -> None:
        """The call succeeded, or was broken off by the caller."""
        if self.ended:
            return
        self.ended = True
        self.subject = None
        self.leave()
        if self._config is not None:
            self._contribute(self._config, metadata or {}, metrics)
            return
        if self._tools is not None:
            self._tools.asked(self.span, outputs)
        self.span.set(outputs=outputs, metadata=metadata, metrics=metrics)
        self.span.end()

    def fail(
        self,
        error: BaseException,
        *,
        outputs: object = UNSET,
        metadata: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
    ) -> None:
        """The call failed, or was cancelled; ``outputs``: what had come by then."""
        if self.ended:
            return
        if self._config is not None:  # the layer above tells of the error, if it lets it through
            self.end(metadata=metadata, metrics=metrics)
            return
        self.ended = True
        self.subject = None
        self.span.set(outputs=outputs, metadata=metadata, metrics=metrics)
        self.span.__exit__(type(error), error, error.__traceback__)

    def _contribute(
        self,
        config: Mapping[str, object],
        metadata: Mapping[str, object],
        metrics: Mapping[str, object] | None,
    ) -> None:
        span = self.span
        if span.state != OPEN:
            return
        for part, given in (("config", config), ("metadata", metadata)):
            held = span.field_group(part) or {}
            new = {name: value for name, value in given.items() if name not in held}
            if part == "metadata":  # two calls inside one event: their tokens add up
                for name in _COUNTED:
                    had, more = held.get(name), given.get(name)
                    if isinstance(had, int) and isinstance(more, int):
                        new[name] = had + more
            if new:
                span.merge(part, new)
        if metrics and span.field_group("metrics") is None:
            span.merge("metrics", metrics)


def restore(token: Token[ModelCall | None]) -> None:
    """Undo ``open_call.set``."""
    try:
        open_call.reset(token)
    except ValueError:  # a generator or coroutine that was closed in another context
        pass


def innermost(recorder: TracerState) -> Handle | None:
    """The innermost span that is open here; one that ended in another context does not count."""
    span = recorder.current.get()
    while span is not None and span.state != OPEN:
        span = span.parent
    for known in foreign_spans:
        span = known.current(recorder) or span
    return span


def open_model(recorder: TracerState, span: Handle | None = None) -> Handle | None:
    """The model span that is open here, so that another layer of the same call must not open one.

    Only the innermost ``span`` (default the current one) counts: a tool that calls a model from
    inside a model span is a call of its own.
    """
    call = open_call.get()
    if span is None:
        span = recorder.current.get()
    if call is not None and not call.ended and _is_around(call.span, recorder, span):
        return call.span
    return span if span is not None and span.type == "model" and span.state == OPEN else None


def _is_around(outer: Handle, recorder: TracerState, parent: Handle | None) -> bool:
    """Whether a call below ``parent`` can be part of the open one.

    One that nobody ended, because its library never told of its end, must not take in all the
    calls that this context makes in other sessions.
    """
    session = outer.session
    if outer.state != OPEN or session.state == ENDED:
        return False
    return outer.recorder is recorder if parent is None else session is parent.session
