"""AWS Lambda: each invocation is a session, delivered before the invocation ends.

Runs in the function's thread. Lambda freezes the process after each answer, so whatever is not
delivered by then waits for the next invocation, or for ever. Invariant: the handler's result and
exceptions pass through unchanged, and delivery leaves the function a margin before its deadline.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sessiontrace.instrumentation.web.request import Opened, open_request, open_work
from sessiontrace.runtime.signals import raise_if_from_signal

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol, TracerState

__all__ = ["traced_handler"]

F = TypeVar("F", bound=Callable[..., Any])

_MARGIN_S = 0.5  # before the deadline
_cold = True


def traced_handler(
    handler: F, tracer: TracerProtocol, flush: Callable[[float], Any], flush_timeout: float
) -> F:
    """``handler(event, context)`` inside a session; ``flush(timeout)`` delivers it."""

    @functools.wraps(handler)
    def invoke(event: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        work = open_work(tracer, lambda recorder: _open(recorder, event, context))
        if work is None:
            return handler(event, context, *args, **kwargs)
        try:
            result = work.run(lambda: handler(event, context, *args, **kwargs))
        except BaseException as error:
            work.end(error)
            raise
        else:
            work.handle.set(outputs=result)
            work.end()
            return result
        finally:
            _flush(flush, context, flush_timeout)

    return invoke  # type: ignore[return-value]


def _open(recorder: TracerState, event: Any, context: Any) -> Opened:
    global _cold
    name = getattr(context, "function_name", None)
    metadata = {
        "aws_request_id": getattr(context, "aws_request_id", None),
        "function_version": getattr(context, "function_version", None),
        "cold_start": _cold,
    }
    _cold = False
    headers = event.get("headers") if type(event) is dict else None
    pairs = [
        (name.lower(), value)
        for name, value in (headers.items() if type(headers) is dict else ())
        if isinstance(name, str) and isinstance(value, str)
    ]
    inputs = event if type(event) is dict else {"event": event}
    present = {key: value for key, value in metadata.items() if value is not None}
    return open_request(recorder, str(name or "lambda"), inputs, present, pairs)


def _flush(flush: Callable[[float], Any], context: Any, timeout: float) -> None:
    try:
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        if remaining is not None:
            timeout = min(timeout, remaining() / 1000 - _MARGIN_S)
        if timeout > 0:
            flush(timeout)
    except Exception as fault:
        raise_if_from_signal(fault)
