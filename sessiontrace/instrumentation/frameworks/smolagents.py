"""smolagents: its agents become chains and their tools tool events.

The library has no hook for the start of a run, so ``run`` and the call of a tool are wrapped. Its
models call a provider's SDK, whose instrumentor records the call. Runs inside the runs. Invariant:
a streamed run is current only while the library works, and ``final_answer`` is no tool.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.core.streamed_runs import run as run_of


class Smolagents:
    """The instrumentor of smolagents."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the runs of agents and the calls of tools."""
        self._calls = calls
        self._patcher.patch(module.MultiStepAgent, "run", self._wrap_run)
        for kind in [module.Tool, *_subclasses(module.Tool)]:
            if "__call__" in vars(kind):
                self._patcher.patch(kind, "__call__", self._wrap_tool)
        reporters["smolagents"] = lambda: True

    def uninstall(self) -> None:
        """Put the methods back."""
        self._calls = None
        self._patcher.restore()
        reporters.pop("smolagents", None)

    def _wrap_run(self, original: Any) -> Any:
        @functools.wraps(original)
        def run(agent: Any, task: str, *args: Any, **options: Any) -> Any:
            span = self._agent_span(agent, task, options)
            if span is None:
                return original(agent, task, *args, **options)
            if options.get("stream") or (args and args[0] is True):
                return run_of(original(agent, task, *args, **options), span, _final_answer)
            with span:
                result = original(agent, task, *args, **options)
                _set_result(span, result)
            return result

        return run

    def _wrap_tool(self, original: Any) -> Any:
        @functools.wraps(original)
        def __call__(tool: Any, *args: Any, **options: Any) -> Any:  # noqa: N807
            span = self._tool_span(tool, args, options)
            if span is None:
                return original(tool, *args, **options)
            with span:
                result = original(tool, *args, **options)
                span.set(outputs=result)
            return result

        return __call__

    @never_raises(None)
    def _agent_span(self, agent: Any, task: Any, options: dict[str, Any]) -> Span | None:
        calls = self._calls
        if calls is None:
            return None
        inputs = {"task": task, "additional_args": options.get("additional_args")}
        tools = [str(name) for name in get_field(agent, "tools") or ()]
        model = get_field(get_field(agent, "model"), "model_id")
        name = get_field(agent, "name") or type(agent).__name__
        config = {"agent": type(agent).__name__, "model": model, "tools": tools}
        return calls.step(
            name,
            "agent",
            inputs=without_none(inputs),
            config=without_none(config),
            metadata={"agent_name": name},
        )

    @never_raises(None)
    def _tool_span(self, tool: Any, args: Any, options: dict[str, Any]) -> Span | None:
        calls, name = self._calls, getattr(tool, "name", None)
        if calls is None or name == "final_answer":
            return None
        inputs = {key: value for key, value in options.items() if key != "sanitize_inputs_outputs"}
        if len(args) == 1 and not inputs and isinstance(args[0], dict):
            inputs = args[0]
        elif args:
            names = [*(getattr(tool, "inputs", None) or ())]
            inputs = {**dict(zip(names, args, strict=False)), **inputs}
        return calls.tool(str(name), inputs=inputs, config={"tool_name": str(name)})


ENTRY = Entry(name="smolagents", target="smolagents.agents", make=Smolagents)


def _subclasses(kind: Any) -> Iterator[Any]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


@never_raises(None)
def _set_result(span: Span, result: Any) -> None:
    """What the agent answered, of a full result the output."""
    full = type(result).__name__ == "RunResult"
    span.set(outputs=get_field(result, "output") if full else result)


def _final_answer(span: Span, step: Any) -> None:
    """What a streamed run answers, in its last step."""
    if type(step).__name__ == "FinalAnswerStep":
        _set_result(span, step.output)
