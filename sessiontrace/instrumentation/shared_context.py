"""OTel's runtime context with our spans in it; see ``otel_context``, which puts it in place.

Runs in user code, where OTel asks for its current context, and where one of our spans opens.
Nothing is attached when one of our spans is entered, so no token can be lost: when OTel asks, our
span that was entered after OTel's last one is added to the answer. Which one is inner is known
because each context that is attached carries the id of the span that was ours and current then.
Invariant: with no span of ours open OTel gets its own context; its sampling stays its own.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from sessiontrace.capture.handle import ENDED, NEW, Handle
from sessiontrace.capture.non_recording import NonRecordingScope
from sessiontrace.capture.session import Session
from sessiontrace.instrumentation.core.model_calls import open_model
from sessiontrace.instrumentation.core.placement import foreign_spans
from sessiontrace.model.ids import PARENT_SPAN_ID
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["CONTEXT_MODULE", "SharedContext", "place_in_otel"]

CONTEXT_MODULE = "opentelemetry.context"
_TRACE_MODULE = "opentelemetry.trace"
_SPAN_OF_OURS = "sessiontrace-current"  # in OTel's context: the id of our span when it was attached


class SharedContext:
    """Replaces OTel's ``runtime`` context. ``variables`` hold our current spans."""

    def __init__(self, runtime: Any, variables: Sequence[ContextVar[Handle | None]]) -> None:
        self.runtime = runtime
        self._variables = variables

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runtime, name)

    def attach(self, context: Any) -> Any:
        """Attach a context, with the id of our current span."""
        span = self._span()
        if span is not None and context.get(_SPAN_OF_OURS) != span.event_id:
            context = type(context)({**context, _SPAN_OF_OURS: span.event_id})
        return self.runtime.attach(context)

    def detach(self, token: Any) -> None:
        """Restore what was attached before."""
        self.runtime.detach(token)

    def get_current(self) -> Any:
        """OTel's context, with our span where that was entered last."""
        context = self.runtime.get_current()
        span = self._span()
        if span is None or context.get(_SPAN_OF_OURS) == span.event_id:
            return context
        try:
            return _with_span(context, span)
        except Exception as error:
            raise_if_from_signal(error)
            return context

    def _span(self) -> Handle | None:
        """Our innermost open handle that is recorded; a model call, while it is made."""
        for variable in self._variables:
            handle = variable.get()
            while handle is not None and handle.state in (NEW, ENDED):
                handle = handle.parent
            if handle is not None and handle.session.skip_reason is None:
                return open_model(handle.recorder, handle) or handle
        return None


def _with_span(context: Any, handle: Handle) -> Any:
    from opentelemetry import trace

    outer = trace.get_current_span(context).get_span_context()
    if outer.is_valid and _is_remote(handle):
        return context  # OTel has read the same headers, and made a span of its own since
    session = handle.session
    span = _span_of_ours(
        session.trace_id or session.session_id.replace("-", ""),
        handle.event_id,
        session.session_id,
        int(outer.trace_flags) if outer.is_valid else 1,  # sampling by OTel stays as it is
    )
    return trace.set_span_in_context(span, context)


@functools.lru_cache(maxsize=256)
def _span_of_ours(trace_id: str, event_id: str, session_id: str, flags: int) -> Any:
    """A span for OTel with the ids that we export, and ours whole in its trace state."""
    from opentelemetry import trace

    own = trace_id == session_id.replace("-", "")
    state = event_id if own else f"{event_id};{session_id}"
    return trace.NonRecordingSpan(
        trace.SpanContext(
            trace_id=int(trace_id, 16),
            span_id=int(event_id[-17:].replace("-", ""), 16),
            is_remote=False,
            trace_flags=trace.TraceFlags(flags),
            trace_state=trace.TraceState([("st", state)]),
        )
    )


def place_in_otel(handle: Handle, parent: Handle | None) -> None:
    """Note the span of OTel that ``handle`` opens in, if one was entered after ``parent``."""
    module = sys.modules.get(CONTEXT_MODULE)
    runtime = getattr(module, "_RUNTIME_CONTEXT", None)
    if not isinstance(runtime, SharedContext):
        return
    try:
        context = runtime.runtime.get_current()
        if not context:
            return
        inner = context.get(_SPAN_OF_OURS)
        if parent is not None and inner != parent.event_id and not _is_remote(parent):
            return
        _place(handle, context)
    except Exception as error:
        raise_if_from_signal(error)


def _no_context() -> None:
    """The context of ``_latest`` before there is one."""


# A context of OTel's, weakly, and what is current there: its span context, and its ids in hex.
_latest: tuple[Callable[[], Any], Any, str, str] = (_no_context, None, "", "")


def _place(handle: Handle, context: Any) -> None:
    global _latest
    latest, span, trace_id, span_id = _latest
    if latest() is not context:
        trace = sys.modules.get(_TRACE_MODULE)  # an import statement costs half a microsecond
        if trace is None:
            return
        span = trace.get_current_span(context).get_span_context()
        trace_id, span_id = f"{span.trace_id:032x}", f"{span.span_id:016x}"
        if not span.is_valid:
            span = None
        with contextlib.suppress(TypeError):  # a runtime whose contexts take no weak reference
            _latest = (weakref.ref(context), span, trace_id, span_id)
    if span is None:
        return
    if foreign_spans and any(span.span_id in processor for processor in foreign_spans):
        return  # one of our processors makes an event of it, which is the parent already
    parent = handle.parent
    if (
        parent is not None
        and span_id[4:] == parent.event_id[-12:]
        and span_id == parent.event_id[-17:].replace("-", "")
    ):
        return  # our own span, handed on by OTel
    if isinstance(handle, Session):
        if handle.trace_id not in (None, handle.event_id.replace("-", ""), trace_id):
            return  # it continues the trace of a request that OTel has not read
        handle.trace_id = trace_id
    handle.put("metadata", PARENT_SPAN_ID, span_id)


def _is_remote(handle: Handle) -> bool:
    return isinstance(handle, NonRecordingScope)
