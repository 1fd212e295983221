"""Calls: what an instrumentor records with, one model call, tool call or step at a time.

Runs inside user code, on the thread of the call. Invariants: nothing here raises into the call,
and a model call gives one model event however many layers report it: the outermost that is still
open is the event, the layers inside only add what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, final

from sessiontrace.capture.span import _OPEN, UNSET, Span
from sessiontrace.ids import now_ns
from sessiontrace.instrumentation.toolcalls import ToolCalls

if TYPE_CHECKING:
    from sessiontrace.capture.recorder import Recorder, Switch

__all__ = [
    "Answer",
    "Call",
    "Calls",
    "current_call",
    "foreign_spans",
    "innermost",
    "open_model",
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

    def current(self, recorder: Recorder) -> Span | None:
        """The event below which a call made here belongs, if that system knows one."""
        ...


foreign_spans: list[ForeignSpans] = []

_open_call: ContextVar[Call | None] = ContextVar("sessiontrace.call", default=None)


class Answer(NamedTuple):
    """What came back: the event's outputs, and what belongs to its metadata."""

    outputs: Any
    metadata: dict[str, Any]


class Calls:
    """Opens calls in the session that is current where it is asked. One for each process.

    ``enabled``: False after ``uninstrument``; wrappers that could not be taken out again, because
    someone else wrapped them, then pass everything through. ``home``: makes a session current where
    a call finds none.
    """

    __slots__ = ("_tools", "enabled", "home", "switch")

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.enabled = True
        self.home: Callable[[Recorder], None] | None = None
        self._tools: ToolCalls | None = None

    def infer_tools(self) -> None:
        """Make tool events of what models ask for, where the program records none."""
        self._tools = ToolCalls()

    def recorder(self) -> Recorder | None:
        """Where to record now; None when nothing is to be recorded."""
        switch = self.switch
        if not self.enabled or switch.off:
            return None
        recorder = switch.recorder or switch.begin()
        if recorder is None:
            return None
        current = recorder.current.get()
        if current is None:
            if self.home is not None:
                self.home(recorder)
        elif current._session._skipped == "":  # inside suppress()
            return None
        return recorder

    def model(
        self,
        name: str,
        *,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        parent: Span | None = None,
    ) -> Call | None:
        """Open a model event, or a contribution to the one that is open; None when off.

        ``parent``: where it belongs, default below what is current.
        """
        recorder = self.recorder()
        if recorder is None:
            return None
        if parent is None:
            parent = innermost(recorder)
        outer = open_model(recorder, parent)
        if outer is not None:
            return Call(outer, config or {}, None)
        tools = self._tools
        if tools is not None and isinstance(inputs, dict):
            tools.answered(recorder, inputs.get("chat_history"))
        span = Span(recorder, name, "model", inputs, config, metadata)
        # Open below what is current, but nobody's current span itself: it may end in another task
        # or thread than it began in, since a streamed answer outlives the call.
        span._open(parent)
        return Call(span, None, tools)

    def open(
        self,
        name: str,
        type: str,
        *,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        parent: Span | None = None,
    ) -> Span | None:
        """A span for libraries that tell of a start and an end; current until it has ended."""
        recorder = self.recorder()
        if recorder is None:
            return None
        span = Span(recorder, name, type, inputs, config, metadata)
        span._open(innermost(recorder) if parent is None else parent)
        recorder.current.set(span)
        return span

    def tool(
        self,
        name: str,
        *,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Span | None:
        """A tool span to be used with ``with``, so that what runs inside is its child."""
        recorder = self.recorder()
        return None if recorder is None else Span(recorder, name, "tool", inputs, config, metadata)

    def chain(
        self,
        name: str,
        *,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Span | None:
        """A chain span to be used with ``with``, so that what runs inside is its child."""
        recorder = self.recorder()
        return None if recorder is None else Span(recorder, name, "chain", inputs, config, metadata)


@final
class Call:
    """One model call. ``with call:`` around the work; then ``end``, now or when it has streamed.

    The block only says how long a call made by a layer further in belongs to this one; ``end`` or
    ``fail`` must follow it, and the first of them counts. ``subject``: what tells one layer's call
    from another's, until the call has ended. ``started``: nanoseconds, of the package's clock.
    """

    __slots__ = ("_config", "_token", "_tools", "ended", "span", "started", "subject")

    def __init__(
        self, span: Span, config: Mapping[str, object] | None, tools: ToolCalls | None
    ) -> None:
        self.span = span
        self.started = now_ns()
        self.ended = False
        self.subject: object = None
        self._config = config  # given where the span is another layer's
        self._tools = tools
        self._token: Token[Call | None] | None = None

    def __enter__(self) -> Call:
        self._token = _open_call.set(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            try:
                _open_call.reset(token)
            except ValueError:  # a generator that was finished in another context
                pass

    def begin(self) -> None:
        """Like entering the block, where there is none: until ``leave``, or the call has ended."""
        _open_call.set(self)

    def leave(self) -> None:
        """What is called from here on is no part of this call."""
        if _open_call.get() is self:
            _open_call.set(None)

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
        if span._state != _OPEN:
            return
        for part, given in (("config", config), ("metadata", metadata)):
            held = span._parts.get(part) or {}
            new = {name: value for name, value in given.items() if name not in held}
            if part == "metadata":  # two calls inside one event: their tokens add up
                for name in _COUNTED:
                    had, more = held.get(name), given.get(name)
                    if isinstance(had, int) and isinstance(more, int):
                        new[name] = had + more
            if new:
                span._merge(part, new)
        if metrics and "metrics" not in span._parts:
            span._merge("metrics", metrics)


def innermost(recorder: Recorder) -> Span | None:
    """The innermost span that is open here; one that ended in another context does not count."""
    span = recorder.current.get()
    while span is not None and span._state != _OPEN:
        span = span._parent
    for known in foreign_spans:
        span = known.current(recorder) or span
    return span


def current_call() -> Call | None:
    """The call whose block is open here, if it has not ended."""
    call = _open_call.get()
    return None if call is None or call.ended else call


def open_model(recorder: Recorder, span: Span | None = None) -> Span | None:
    """The model span that is open here, so that another layer of the same call must not open one.

    Only the innermost ``span`` (default the current one) counts: a tool that calls a model from
    inside a model span is a call of its own.
    """
    call = _open_call.get()
    if call is not None and not call.ended:
        return call.span
    if span is None:
        span = recorder.current.get()
    return span if span is not None and span.type == "model" and span._state == _OPEN else None
