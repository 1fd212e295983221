"""Pydantic AI: the spans of its agents become events, beside its user's own telemetry.

``install`` runs on the thread that imports the library. Invariant: the global tracer provider is
never touched, and instrumentation that the program sets up itself, before or after, stays.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.otel_sdk.api_tracer import Tracing
from sessiontrace.instrumentation.pydantic_ai_runs.model_request import (
    ModelRequest,
    completion,
    current_request,
)


class PydanticAi:
    """The instrumentor of pydantic-ai."""

    def __init__(self) -> None:
        self._agent: Any = None
        self._settings: Any = None
        self._tracing: Tracing | None = None
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Record beside each tracer that agents are instrumented with, or alone without one."""
        if self._agent is not None:
            return
        from opentelemetry import trace
        from pydantic_ai.models.instrumented import InstrumentationSettings

        from sessiontrace.instrumentation.opentelemetry import SpanProcessor

        self._tracing = tracing = Tracing(trace, SpanProcessor(calls.tracer), completion)
        self._agent = module.Agent

        def wrap(original: Any) -> Any:
            @functools.wraps(original)
            def __init__(settings: Any, *args: Any, **options: Any) -> None:  # noqa: N807
                original(settings, *args, **options)
                if tracing.active:
                    settings.tracer = tracing.beside(settings.tracer)

            return __init__

        self._patcher.patch(InstrumentationSettings, "__init__", wrap)
        try:
            from pydantic_ai.capabilities.instrumentation import Instrumentation

            self._patcher.patch(Instrumentation, "wrap_model_request", _remember_request)
        except (ImportError, KeyError):  # before 2.0: a call that fails has no inputs
            pass
        theirs = _default(self._agent)
        if not theirs:
            self._settings = InstrumentationSettings(
                tracer_provider=tracing.provider(), include_content=True
            )
            self._agent.instrument_all(self._settings)
        elif isinstance(theirs, InstrumentationSettings):
            theirs.tracer = tracing.beside(theirs.tracer)

    def uninstall(self) -> None:
        """Stop recording; the program's own instrumentation goes on."""
        if self._agent is None or self._tracing is None:
            return
        self._tracing.stop()
        self._patcher.restore()
        current = _default(self._agent)
        if current is self._settings:
            self._agent.instrument_all(False)
        else:
            tracer: Any = getattr(current, "tracer", None)
            if self._tracing.has_made(tracer):
                current.tracer = tracer.theirs
        self._agent = self._settings = self._tracing = None


def _remember_request(original: Any) -> Any:
    @functools.wraps(original)
    async def wrap_model_request(capability: Any, *args: Any, **options: Any) -> Any:
        request = ModelRequest(capability.settings, options.get("request_context"))
        token = current_request.set(request)
        try:
            return await original(capability, *args, **options)
        finally:
            current_request.reset(token)

    return wrap_model_request


ENTRY = Entry(name="pydantic-ai", target="pydantic_ai", make=PydanticAi)


def _default(agent: Any) -> Any:
    """The settings of all agents: False, True or an object."""
    return vars(agent).get("_instrument_default", False)
