"""The methods that users call to record, over any object that has a recorder.

Called from any user thread. Spans and sessions load with the first configuration or session
(``first_use``), decorators with the first function that is traced. Invariant: no method raises,
whatever its arguments. Where nothing is recorded, each method returns an object that takes the same
calls and does nothing.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from sessiontrace.capture.context.carried_span import let_go
from sessiontrace.capture.decorators.typed import TypedDecorators
from sessiontrace.capture.handle import SUPPRESSED, UNSET, Handle
from sessiontrace.capture.noop import NOOP
from sessiontrace.model.later_types import later
from sessiontrace.model.propagators import PROPAGATORS

if TYPE_CHECKING:
    from sessiontrace.capture.non_recording import SuppressedScope
    from sessiontrace.capture.session import Session
    from sessiontrace.capture.span import Span
    from sessiontrace.capture.streams.stream import AsyncStream, Stream
    from sessiontrace.capture.streams.stream_span import Reduce
    from sessiontrace.capture.tracer_state import TracerState
else:
    SuppressedScope = later("sessiontrace.capture.non_recording", "SuppressedScope")
    Session = later("sessiontrace.capture.session", "Session")
    Span = later("sessiontrace.capture.span", "Span")
    AsyncStream = later("sessiontrace.capture.streams.stream", "AsyncStream")
    Stream = later("sessiontrace.capture.streams.stream", "Stream")
    Reduce = later("sessiontrace.capture.streams.stream_span", "Reduce")
    TracerState = later("sessiontrace.capture.tracer_state", "TracerState")

__all__ = ["Tracing"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
H = TypeVar("H", bound=MutableMapping[str, str])

_NOOP_SPAN = cast("Span", NOOP)
_NOOP_SESSION = cast("Session", NOOP)


class Tracing(TypedDecorators):
    """The recording half of a tracer. A subclass has ``off``, ``recorder`` and ``begin``."""

    off: bool
    recorder: TracerState | None
    _current: ContextVar[Handle | None]

    def begin(self) -> TracerState | None:
        """The recorder, after configuring it if need be; None when off."""
        raise NotImplementedError

    def session(
        self,
        name: str = "session",
        *,
        session_id: str | None = None,
        user: str | None = None,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        user_properties: Mapping[str, object] | None = None,
        source: str | None = None,
        tags: Sequence[str] = (),
        to: str | Sequence[str] | None = None,
        sample: float | None = None,
    ) -> Session:
        """A session: ``async with session("chat") as s:``, ``with`` likewise, or a decorator.

        ``session_id``: your own id (any text) makes it a conversation: each opening becomes a turn
        of the one session with that id, here and in other processes. ``user``: who it is for,
        becomes ``user_properties.user_id``. ``source``: default the environment, else the service.
        ``tags`` become ``metadata.tags``. ``to``: names of the destinations it goes to, default
        all; a session for unknown ones only is dropped and counted. ``sample``: the share of such
        sessions to record, from 0 to 1, in place of the rate of ``init``.
        """
        recorder = self.recorder
        session_class = _session_class() if recorder is None else recorder.session_class
        session: Session = session_class(
            self,
            name,
            session_id=session_id,
            user=user,
            inputs=inputs,
            config=config,
            metadata=metadata,
            user_properties=user_properties,
            source=source,
            tags=tags,
            to=to,
            sample=sample,
        )
        return session

    def span(
        self,
        name: str,
        *,
        type: str = "chain",
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Span:
        """A step: ``with span("retrieve", type="tool", inputs={...}) as s:``, or ``async with``.

        ``type``: "chain", "model", "tool", "agent", "retriever", "embedding", "guardrail" or
        "evaluator". Inputs are encoded at once: later changes to them do not show. A span outside
        any session opens a session named like it, and ends it with itself.
        """
        if self.off or (recorder := self.recorder or self.begin()) is None:
            return _NOOP_SPAN
        here = recorder.current.get() if recorder.skips else None
        is_recorded = here is None or here.session.skip_reason is None
        span_class = recorder.span_class if is_recorded else recorder.unrecorded_class
        span: Span = span_class(recorder, name, type, inputs, config, metadata)
        return span

    @overload
    def trace(self, fn: F, /) -> F: ...
    @overload
    def trace(
        self,
        /,
        *,
        name: str | None = None,
        type: str = "chain",
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Callable[[F], F]: ...
    def trace(
        self,
        fn: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        type: str = "chain",
        capture: bool | str = True,
        ignore: Collection[str] = (),
        reduce: Reduce | None = None,
    ) -> Any:
        """Decorate a function: each call becomes a span with its arguments and its result.

        Works on sync and async functions, generators, async generators, methods, static and class
        methods, partials and callable objects, and on a class (its public methods). The function
        keeps its kind and signature. The span of a generator lasts until the generator is exhausted
        or closed, and has the time to the first chunk; likewise for a function that returns one.

        ``name``: default the function's qualified name. ``type``: as of ``span``.
        ``capture``: False records neither arguments nor result, "inputs" or "outputs" only these.
        ``ignore``: names of arguments to leave out. ``reduce``: makes the outputs from the list of
        all chunks; by default texts and the deltas of OpenAI and Anthropic are joined.
        """
        from sessiontrace.capture.decorators.function import TraceOptions, decorate

        options = TraceOptions(name, type, capture, ignore, reduce)
        if fn is not None:
            return decorate(self, fn, options)
        return lambda fn: decorate(self, fn, options)

    def _of_type(self, type: str, fn: Callable[..., Any] | None, options: dict[str, Any]) -> Any:
        decorator = self.trace(type=type, **options)
        return decorator if fn is None else decorator(fn)

    def current_span(self) -> Span:
        """The innermost open span (or session) here; a no-op, falsy object where there is none."""
        handle: Any = self._here()
        return handle or _NOOP_SPAN

    def current_session(self) -> Session:
        """The session that is open here; a no-op, falsy object where there is none."""
        handle: Any = self._here()
        return _NOOP_SESSION if handle is None else handle.session

    def _here(self) -> Handle | None:
        """The current handle, unless everything inside it is suppressed."""
        handle = let_go(self._current.get())
        return None if handle is None or handle.session.skip_reason == SUPPRESSED else handle

    def update(
        self,
        /,
        *,
        inputs: object = None,
        outputs: object = UNSET,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
        feedback: Mapping[str, object] | None = None,
        error: str | BaseException | None = None,
    ) -> None:
        """``current_span().set(...)``."""
        self.current_span().set(
            inputs=inputs,
            outputs=outputs,
            config=config,
            metadata=metadata,
            metrics=metrics,
            feedback=feedback,
            error=error,
        )

    def start_span(
        self,
        name: str,
        *,
        parent: Span | None = None,
        type: str = "chain",
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Span:
        """A span that is open at once and never current: end it with ``end()``, in any thread.

        ``parent``: a span, a session or the handle of ``extract``; default the current one.
        """
        if self.off or (recorder := self.recorder or self.begin()) is None:
            return _NOOP_SPAN
        placed = parent is not None and _is_placed(parent)
        later = placed and recorder.skips  # set the inputs when the span knows its session
        span: Span = recorder.span_class(
            recorder, name, type, None if later else inputs, config, metadata
        )
        span.open(parent if placed else self._current.get())
        return span.set(inputs=inputs) if later else span

    @overload
    def stream(
        self, iterable: AsyncIterable[T], *, name: str | None = None, reduce: Reduce | None = None
    ) -> AsyncStream[T]: ...
    @overload
    def stream(
        self, iterable: Iterable[T], *, name: str | None = None, reduce: Reduce | None = None
    ) -> Stream[T]: ...
    def stream(
        self, iterable: Any, *, name: str | None = None, reduce: Reduce | None = None
    ) -> Any:
        """Watch an (async) iterator: ``async for chunk in stream(response):``.

        The current span gets ``metrics`` (time_to_first_chunk_ms since it began, chunks,
        largest_gap_ms) and, unless it has outputs, what the chunks add up to; also when it has
        ended meanwhile. ``name``: a model span of its own instead. ``reduce``: from the list of all
        chunks to the outputs; by default texts and the deltas of OpenAI and Anthropic are joined.
        """
        if self.off or (recorder := self.recorder or self.begin()) is None:
            return iterable
        from sessiontrace.capture.streams.stream import watch

        return watch(recorder, iterable, name=name, reduce=reduce)

    def suppress(self) -> SuppressedScope:
        """``with suppress():`` (or ``async with``, or a decorator): nothing inside is recorded."""
        if self.off or (recorder := self.recorder or self.begin()) is None:
            return cast("SuppressedScope", NOOP)
        from sessiontrace.capture.non_recording import SuppressedScope

        return SuppressedScope(recorder)

    def inject(self, headers: H) -> H:
        """Write the current span into HTTP headers (traceparent, tracestate, baggage).

        Returns the headers, with what other tracers wrote. Without a span nothing is written.
        """
        from sessiontrace.capture.context.w3c import inject  # here: few programs pass it on

        return inject(let_go(self._current.get()), headers)

    def extract(
        self, headers: object, name: str = "remote", *, trust: str | None = None
    ) -> Session:
        """The span in ``headers``, to run under: ``with extract(request.headers):``.

        ``headers``: a mapping, or pairs of texts or bytes. From another sessiontrace process that
        very span is the parent. From other tracers' headers it is a turn named ``name`` of the
        session that the trace id identifies. ``trust``: "trace" takes the ids of trace and span,
        "none" nothing; "all", for senders of your own, also the session's and user's ids and the
        destinations in the baggage, and whether the sender records. Default: as ``init`` says. A
        no-op where the headers name no span.
        """
        if self.off or (recorder := self.recorder or self.begin()) is None:
            return _NOOP_SESSION
        from sessiontrace.capture.context.w3c import extract

        handle: Any = extract(recorder, headers, name, trust)
        return handle or _NOOP_SESSION

    def carry(self) -> dict[str, str]:
        """The current span for ``carried`` in another process of the program; empty without one."""
        from sessiontrace.capture.context.w3c import inject

        headers: dict[str, str] = {}
        return inject(let_go(self._current.get()), headers, PROPAGATORS)

    def carried(self, headers: Mapping[str, str]) -> Session:
        """The span of another process of the program, to run under, whatever is propagated."""
        if self.off or (recorder := self.recorder or self.begin()) is None:
            return _NOOP_SESSION
        from sessiontrace.capture.context.w3c import extract

        handle: Any = extract(recorder, headers, trust="all", propagators=PROPAGATORS)
        return handle or _NOOP_SESSION

    def score(
        self,
        name: str,
        value: float | bool | str,
        *,
        comment: str | None = None,
        session_id: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """Score a session (default the current one) or an event of it, now or long after its end.

        Numbers and booleans become ``metrics[name]``, texts ``feedback[name]``; ``comment`` becomes
        ``feedback[name_comment]``. ``session_id``: the UUID of a session, or your own id of
        it; the session may have run in another process. ``event_id``: of an event of that session.
        """
        if not (self.off or (recorder := self.recorder or self.begin()) is None):
            from sessiontrace.capture.updates import score

            score(recorder, self._here(), name, value, comment, session_id, event_id)


def _session_class() -> type[Session]:
    from sessiontrace.capture import first_use

    return first_use.Session


def _is_placed(parent: object) -> bool:
    """Whether it is a handle that was opened, so that a span can begin below it."""
    from sessiontrace.capture.non_recording import NonRecordingScope
    from sessiontrace.capture.span import Span

    return isinstance(parent, (Span, NonRecordingScope)) and hasattr(parent, "session")
