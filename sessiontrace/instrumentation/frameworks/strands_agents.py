"""Strands: the spans of its own tracer become events, beside its user's own telemetry.

``install`` runs on the thread that imports the library. Invariant: the global tracer provider is
never touched, and what the program has set up for its agents gets every span as before.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.streamed_runs import async_steps

if TYPE_CHECKING:
    from sessiontrace.instrumentation.otel_sdk.api_tracer import Tracing

_SCOPE = "strands.telemetry.tracer"
_AGENTS = ("Agent", "Graph", "Swarm")


class Strands:
    """The instrumentor of strands-agents."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._tracing: Tracing | None = None
        self._module: Any = None
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Record beside each tracer of the framework, of those that are there and that will be."""
        self._calls = calls
        for name in _AGENTS:
            if hasattr(module, name):
                self._patcher.patch(getattr(module, name), "stream_async", self._wrap_stream)
        if module.__name__ != _SCOPE:
            return
        self._module = module
        self._patcher.patch(self._module.Tracer, "__init__", self._wrap_init)
        if (existing := self._existing()) is not None:
            self._record(existing)
        reporters["strands"] = lambda: True

    def uninstall(self) -> None:
        """Record nothing more; the framework's own spans go on."""
        self._calls = None
        reporters.pop("strands", None)
        self._patcher.restore()
        tracing, self._tracing = self._tracing, None
        if tracing is None:
            return
        tracing.stop()
        existing = self._existing()
        if existing is not None and tracing.has_made(existing.tracer):
            existing.tracer = existing.tracer.theirs

    def _wrap_init(self, original: Any) -> Any:
        @functools.wraps(original)
        def __init__(tracer: Any, *args: Any, **options: Any) -> None:  # noqa: N807
            original(tracer, *args, **options)
            self._record(tracer)

        return __init__

    @never_raises(None)
    def _record(self, tracer: Any) -> None:
        """Record beside a tracer. Imports what reads spans here, where an agent is made."""
        calls = self._calls
        if calls is None:
            return
        if self._tracing is None:
            from opentelemetry import trace

            from sessiontrace.instrumentation.opentelemetry import SpanProcessor
            from sessiontrace.instrumentation.otel_sdk.api_tracer import Tracing

            self._tracing = Tracing(trace, SpanProcessor(calls.tracer))
        tracer.tracer = self._tracing.beside(tracer.tracer, _SCOPE)

    def _wrap_stream(self, original: Any) -> Any:
        @functools.wraps(original)
        def stream_async(agent: Any, *args: Any, **options: Any) -> Any:
            make = functools.partial(original, agent, *args, **options)
            recorder = None if self._calls is None else self._calls.recorder()
            return make() if recorder is None else async_steps(make, recorder.current)

        return stream_async

    def _existing(self) -> Any:
        """The tracer that all agents share, once there is one."""
        return getattr(self._module, "_tracer_instance", None)


ENTRY = Entry(
    name="strands-agents",
    target="strands.telemetry.tracer",
    make=Strands,
    also=("strands.agent.agent", "strands.multiagent.graph", "strands.multiagent.swarm"),
)
