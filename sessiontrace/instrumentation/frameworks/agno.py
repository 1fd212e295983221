"""Agno: agents, teams, workflows, tools and searches in knowledge become steps.

    a call                                       becomes
    -------------------------------------------  -----------------------------------------------
    ``run``, ``arun``, ``continue_run`` of an    an agent event
    agent or a team
    the same of a workflow; one of its steps     a chain event
    a function that a model calls                a tool event; the member that a team asks, too
    ``search`` of knowledge                      a retriever event

Agno has no hook around a run, and no spans of its own, so the methods are wrapped; models are
recorded by their SDKs. Runs inside the runs. Invariant: a run that Agno answers with an error in
its result has that error.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.agno_runs.runs import (
    AgentRun,
    FunctionRun,
    SearchRun,
    StepRun,
    open_agent,
    open_function,
    open_search,
    open_step,
    open_workflow,
)
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_steps import MethodSteps
from sessiontrace.instrumentation.core.model_calls import CallRecorder

_STEPS = ("Step", "Steps", "Parallel", "Loop", "Condition", "Router")


class Agno:
    """The instrumentor of agno."""

    def __init__(self) -> None:
        self._steps = MethodSteps("agno")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods of what the module defines."""
        from agno.exceptions import AgentRunException, RunCancelledException

        self._steps.start(calls, AgentRunException, RunCancelledException)
        for name in ("Agent", "Team"):
            self._wrap_runs(module, name, self._open_agent)
        self._wrap_runs(module, "Workflow", self._open_workflow)
        for name in _STEPS:
            for method in ("execute", "execute_stream", "aexecute", "aexecute_stream"):
                self._wrap(module, name, method, self._open_step)
        for method in ("execute", "aexecute"):
            self._wrap(module, "FunctionCall", method, self._open_function)
        for method in ("search", "asearch"):
            self._wrap(module, "Knowledge", method, self._open_search)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._steps.stop()

    def _wrap_runs(self, module: Any, name: str, open: Any) -> None:
        for method in ("run", "continue_run"):
            self._wrap(module, name, method, open)
            self._wrap(module, name, f"a{method}", open, is_lazy=True)

    def _wrap(self, module: Any, name: str, method: str, open: Any, **options: Any) -> None:
        """Wrap a method, where this module is the one that defines its class."""
        kind = vars(module).get(name)
        if kind is not None and kind.__module__ == module.__name__ and method in vars(kind):
            self._steps.patch(kind, method, open, **options)

    def _open_agent(self, calls: CallRecorder, args: Any, options: Any) -> AgentRun | None:
        span = open_agent(calls, args, options)
        return None if span is None else AgentRun(span, args[0])

    def _open_workflow(self, calls: CallRecorder, args: Any, options: Any) -> AgentRun | None:
        span = open_workflow(calls, args, options)
        return None if span is None else AgentRun(span, args[0])

    def _open_step(self, calls: CallRecorder, args: Any, options: Any) -> StepRun | None:
        span = open_step(calls, args, options)
        return None if span is None else StepRun(span)

    def _open_function(self, calls: CallRecorder, args: Any, options: Any) -> FunctionRun | None:
        span = open_function(calls, args[0])
        return None if span is None else FunctionRun(span, args[0], self._steps.read_later)

    def _open_search(self, calls: CallRecorder, args: Any, options: Any) -> SearchRun | None:
        span = open_search(calls, args, options)
        return None if span is None else SearchRun(span)


ENTRY = Entry(
    name="agno",
    target="agno.agent.agent",
    make=Agno,
    also=(
        "agno.team.team",
        "agno.tools.function",
        "agno.knowledge.knowledge",
        "agno.workflow.workflow",
        "agno.workflow.step",
        "agno.workflow.steps",
        "agno.workflow.parallel",
        "agno.workflow.loop",
        "agno.workflow.condition",
        "agno.workflow.router",
    ),
)
