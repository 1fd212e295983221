"""One context with OpenTelemetry: each side sees the other's current span as its parent.

``join`` waits until OTel is imported and then wraps its runtime context (``shared_context``); until
then nothing is asked. Called by tracers when they are configured, and on whichever thread imports
OTel. Invariant: a tracer that is gone, or that left, shares nothing.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sessiontrace.instrumentation.import_hooks import Hooks
from sessiontrace.runtime.log import log_once

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol

__all__ = ["join", "leave"]

_MODULE = "opentelemetry.context"

_tracers: list[weakref.ref[TracerProtocol]] = []
_variables: list[ContextVar[Any]] = []  # of the tracers, in their order


def join(tracer: TracerProtocol, variable: ContextVar[Any]) -> None:
    """Share a tracer's current span, in ``variable``, with OTel, now or once that is imported."""
    if all(joined is not variable for joined in _variables):
        _variables.append(variable)
        _tracers.append(weakref.ref(tracer, lambda _: leave(variable)))
    _hooks.add(_MODULE, _wrap)


def leave(variable: ContextVar[Any]) -> None:
    """Undo ``join``."""
    for position, joined in enumerate(_variables):
        if joined is variable:
            del _variables[position], _tracers[position]
            break
    if not _variables:
        _hooks.clear()


def _wrap(module: ModuleType) -> None:
    from sessiontrace.instrumentation.shared_context import SharedContext, place_in_otel

    runtime = getattr(module, "_RUNTIME_CONTEXT", None)
    if runtime is None:
        return
    if not isinstance(runtime, SharedContext):
        module._RUNTIME_CONTEXT = SharedContext(runtime, _variables)  # type: ignore[attr-defined]
    for reference in _tracers:
        tracer = reference()
        if tracer is not None and tracer.recorder is not None:
            tracer.recorder.place = place_in_otel


def _log_failure(name: str, error: Exception) -> None:
    log_once("otel:context", "cannot share the context of %s (%s)", name, type(error).__name__)


_hooks = Hooks(_log_failure)
