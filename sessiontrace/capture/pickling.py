"""How spans, sessions and scopes are copied and pickled; in the user's thread.

A handle belongs to the process that opened it. A copy is the handle itself. A pickle names the span
and becomes a remote span elsewhere; a session that was never opened (a decorator) keeps its
arguments. Invariant: pickling a handle never raises, and what it becomes takes the same calls.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

import orjson

from sessiontrace.capture.handle import NEW, Handle
from sessiontrace.capture.non_recording import NonRecordingScope, RemoteSpan, SuppressedScope
from sessiontrace.capture.noop import NOOP
from sessiontrace.capture.session import UNOPENED, Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.tracer_state import TracerProtocol, TracerState
from sessiontrace.capture.unrecorded_span import UnrecordedSpan
from sessiontrace.model.propagators import PROPAGATORS
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["register"]

Reduced = tuple[Callable[..., Any], tuple[Any, ...]]


def register() -> None:
    """From now on handles can be pickled."""
    copyreg.pickle(TracerState, _reduce_state)
    copyreg.pickle(Span, _reduce_span)
    copyreg.pickle(UnrecordedSpan, _reduce_span)
    copyreg.pickle(Session, _reduce_session)
    copyreg.pickle(RemoteSpan, _reduce_remote_span)
    copyreg.pickle(SuppressedScope, _reduce_suppressed)


def _reduce_state(state: TracerState) -> Reduced:
    return _state_of, (None if state.tracer is None else state.tracer(),)


def _state_of(tracer: TracerProtocol | None) -> TracerState:
    """The state of a tracer here; one that records nothing when it is off."""
    if tracer is None or tracer.off:
        return UNOPENED
    return tracer.recorder or tracer.begin() or UNOPENED


def _reduce_span(span: Span) -> Reduced:
    from sessiontrace.capture.context.w3c import inject  # here: few programs pickle a span

    return _remote, (span.recorder, inject(span, {}, PROPAGATORS))


def _remote(recorder: TracerState, headers: dict[str, str]) -> Any:
    from sessiontrace.capture.context.w3c import extract

    handle: Handle | None = extract(recorder, headers, trust="all", propagators=PROPAGATORS)
    return NOOP if handle is None or recorder is UNOPENED else handle


def _reduce_session(session: Session) -> Reduced:
    if session.state != NEW:
        return _reduce_span(session)
    inputs, outputs, parts = session.values()
    try:
        encoded = orjson.dumps(parts)  # parts hold fragments of JSON
    except Exception as error:
        raise_if_from_signal(error)
        encoded = b"null"
    return _new_session, (session.arguments(), inputs, outputs, encoded)


def _new_session(
    arguments: dict[str, Any],
    inputs: bytes | None,
    outputs: bytes | None,
    parts: bytes,
) -> Session:
    session = Session(**arguments)
    # The recorder here has not checked these values for secrets.
    session.take_over(inputs, outputs, orjson.loads(parts), needs_redaction=True)
    return session


def _reduce_remote_span(span: RemoteSpan) -> Reduced:
    sampled = span.skip_reason != "sampled"
    return _new_remote_span, (span.recorder, span.session_id, span.event_id, sampled, span.to)


def _new_remote_span(
    recorder: TracerState, session_id: str, event_id: str, sampled: bool, to: list[str] | None
) -> RemoteSpan:
    return RemoteSpan(recorder, session_id, event_id, sampled=sampled, to=to)


def _reduce_suppressed(scope: NonRecordingScope) -> Reduced:
    return SuppressedScope, (scope.recorder,)
