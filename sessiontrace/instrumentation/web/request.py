"""A request or job from outside as a session, a turn or a span, by the headers that it came with.

Used by the instrumentors of servers and queues, in the thread or task that serves the request.
Invariant: nothing here raises, and after each piece of work the thread's current handle is what it
was before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from sessiontrace.capture.context.w3c import extract, trust_in
from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.non_recording import RemoteSpan
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.runtime.signals import raise_if_from_signal

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState

__all__ = ["SEEN", "SESSION_HEADER", "Work", "open_request", "open_work"]

SESSION_HEADER = "x-session-id"
SEEN = "sessiontrace"
"""The key of a request's environment or scope that our outer middleware has set."""

Opened = tuple[AbstractContextManager[object], Span]
T = TypeVar("T")


def open_request(
    recorder: TracerState,
    name: str,
    inputs: Mapping[str, object],
    metadata: Mapping[str, object],
    headers: Iterable[tuple[str, str]],
    trust: str | None = None,
) -> Opened:
    """The context of a request and its handle, not entered.

    ``headers``: names in lower case. ``trust``: what is taken from them, see ``context.w3c``.
    """
    by_name = dict(headers)
    session_id = None
    if trust_in(recorder, trust) == "all":
        session_id = by_name.get(SESSION_HEADER) or None
    if session_id is None and "traceparent" in by_name:
        caller = extract(recorder, by_name.items(), name, trust)
        if isinstance(caller, RemoteSpan):
            return caller, Span(recorder, name, "chain", inputs, None, metadata)
        if caller is not None:
            return nullcontext(), caller.set(inputs=inputs, metadata=metadata)
    session = Session(recorder, name, session_id=session_id, inputs=inputs, metadata=metadata)
    return nullcontext(), session


def open_work(tracer: TracerProtocol, open_handle: Callable[[TracerState], Opened]) -> Work | None:
    """Work that is recorded from now on; None where nothing is."""
    try:
        if tracer.off or (recorder := tracer.recorder or tracer.begin()) is None:
            return None
        return Work(recorder, *open_handle(recorder))
    except Exception as fault:
        raise_if_from_signal(fault)
        return None


class Work:
    """A request or job that is served in pieces, in one thread or in several.

    ``run`` does a piece inside: before and after it, the thread's current handle is its own.
    ``end`` may be called more than once.
    """

    def __init__(
        self,
        recorder: TracerState,
        context: AbstractContextManager[object],
        handle: Span,
    ) -> None:
        self.handle = handle
        self._context = context
        self._current = recorder.current
        before = self._current.get()
        try:
            context.__enter__()
            handle.__enter__()
            self._inside: Handle | None = self._current.get()
        finally:
            self._current.set(before)

    def run(self, piece: Callable[..., T], *args: Any) -> T:
        """``piece(*args)`` inside the handle."""
        before = self.resume()
        try:
            return piece(*args)
        finally:
            self.pause(before)

    def resume(self) -> Handle | None:
        """Go inside; gives what ``pause`` takes."""
        before = self._current.get()
        self._current.set(self._inside)
        return before

    def pause(self, before: Handle | None) -> None:
        """Leave without ending."""
        self._inside = self._current.get()
        self._current.set(before)

    def fail(self, error: BaseException) -> None:
        """Record an exception that the server or framework answers itself."""
        if self.handle.state == OPEN:
            self.handle.set(error=error)

    def end(self, error: BaseException | None = None) -> None:
        """End the handle, with the exception that leaves the work."""
        if self.handle.state != OPEN:
            return
        kind: type[BaseException] | None = None if error is None else type(error)
        trace: TracebackType | None = None if error is None else error.__traceback__
        before = self.resume()
        try:
            self.handle.__exit__(kind, error, trace)
            self._context.__exit__(kind, error, trace)
        finally:
            self._current.set(before)
