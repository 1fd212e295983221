"""Google ADK: the spans of its own tracer become events, beside its user's own telemetry.

    a span             becomes
    -----------------  --------------------------------------------------------------------------
    invoke_workflow    a chain around the run, with the question and the last answer
    invoke_agent       an agent, with its question and its answer
    generate_content   a model event; the SDK's call below contributes to it
    execute_tool       a tool event, with its arguments and its result

``install`` runs on the thread that imports the library. Invariant: the global tracer provider is
never touched, and what the program has set up gets every span as before.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.google_adk_runs.completions import Agent, Inference, Tool
from sessiontrace.instrumentation.google_adk_runs.run import Run, completion, observed

if TYPE_CHECKING:
    from sessiontrace.instrumentation.otel_sdk.api_tracer import Tracing

_SCOPE = "gcp.vertex.agent"
_TRACING, _RUNNERS = "google.adk.telemetry.tracing", "google.adk.runners"


class GoogleAdk:
    """The instrumentor of google-adk."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._tracing: Tracing | None = None
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Record beside the framework's tracer, in each of its modules that has it."""
        self._calls = calls
        if module.__name__ == _RUNNERS:
            self._patcher.patch(module.Runner, "run_async", self._wrap_run)
        elif module.__name__ == _TRACING:
            self._patch_content(module)
        reporters["google_adk"] = lambda: True
        theirs = vars(module).get("tracer")  # some modules load theirs when it is asked for
        if theirs is not None and not isinstance(theirs, _LateTracer):
            vars(module)["tracer"] = _LateTracer(theirs, self._beside)

    def uninstall(self) -> None:
        """Record nothing more; the framework's own spans go on."""
        self._calls = None
        self._patcher.restore()
        reporters.pop("google_adk", None)
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            tracing.stop()
        for name, module in list(sys.modules.items()):
            fields = vars(module) if name.startswith("google.adk.") else {}
            if isinstance(tracer := fields.get("tracer"), _LateTracer):
                fields["tracer"] = tracer.theirs

    def _beside(self, theirs: Any) -> Any:
        """A tracer that records; imports what reads spans, when the first one starts."""
        calls = self._calls
        if calls is None:
            return theirs
        if self._tracing is None:
            from opentelemetry import trace

            from sessiontrace.instrumentation.opentelemetry import SpanProcessor
            from sessiontrace.instrumentation.otel_sdk.api_tracer import Tracing

            self._tracing = Tracing(trace, SpanProcessor(calls.tracer), completion)
        return self._tracing.beside(theirs, _SCOPE)

    def _wrap_run(self, original: Any) -> Any:
        @functools.wraps(original)
        def run_async(runner: Any, *args: Any, **options: Any) -> Any:
            make = functools.partial(original, runner, *args, **options)
            recorder = None if self._calls is None else self._calls.recorder()
            if recorder is None:
                return make()
            return observed(make, Run(options.get("new_message")), recorder.current)

        return run_async

    def _patch_content(self, module: Any) -> None:
        """Complete our spans where the framework completes its own, by functions of these names."""
        wrappers = {
            "trace_agent_invocation": self._wrap_agent,
            "trace_tool_call": self._wrap_tool,
            "trace_inference_result": self._wrap_answer,
            "use_inference_span": self._wrap_inference,
        }
        for name, wrap in wrappers.items():
            self._patcher.patch(module, name, wrap)

    def _wrap_agent(self, original: Any) -> Any:
        @functools.wraps(original)
        def trace_agent_invocation(span: Any, agent: Any, ctx: Any) -> Any:
            self._complete(span, Agent(agent, ctx))
            return original(span, agent, ctx)

        return trace_agent_invocation

    def _wrap_tool(self, original: Any) -> Any:
        @functools.wraps(original)
        def trace_tool_call(tool: Any, args: Any, *others: Any, **options: Any) -> Any:
            event = options.get("function_response_event", others[0] if others else None)
            if self._tracing is not None:
                span = options.get("span") or self._tracing.current_span()
                self._complete(span, Tool(args, event))
            return original(tool, args, *others, **options)

        return trace_tool_call

    def _wrap_inference(self, original: Any) -> Any:
        @contextlib.asynccontextmanager
        async def opened(llm_request: Any, *args: Any, **options: Any) -> Any:
            async with original(llm_request, *args, **options) as inference:
                span = getattr(inference, "span", inference)
                self._complete(span, Inference(llm_request, self._lacks(span)))
                yield inference

        @functools.wraps(original)
        def use_inference_span(*args: Any, **options: Any) -> Any:
            return opened(*args, **options)

        return use_inference_span

    def _wrap_answer(self, original: Any) -> Any:
        @functools.wraps(original)
        def trace_inference_result(context: Any, span: Any, response: Any) -> Any:
            inference = getattr(getattr(span, "span", span), "completion", None)
            if isinstance(inference, Inference):
                inference.see(response)
            return original(context, span, response)

        return trace_inference_result

    def _complete(self, span: Any, completion: Any) -> None:
        if self._tracing is not None and self._tracing.is_of(span):
            span.completion = completion

    def _lacks(self, span: Any) -> Callable[[str], bool]:
        """Whether the event of a span lacks a field, asked when the span ends."""
        tracing = self._tracing
        return lambda group: tracing is None or tracing.lacks(span, group)


class _LateTracer:
    """A tracer in the place of ``theirs`` that becomes one that records when it is used."""

    def __init__(self, theirs: Any, beside: Callable[[Any], Any]) -> None:
        self.theirs: Any = theirs
        self._beside = beside

    def __getattr__(self, name: str) -> Any:
        return getattr(self._beside(self.theirs), name)


ENTRY = Entry(
    name="google-adk",
    target="google.adk.telemetry.tracing",
    make=GoogleAdk,
    also=("google.adk.runners", "google.adk.telemetry.node_tracing"),
)
