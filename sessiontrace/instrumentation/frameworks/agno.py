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


class Agno:
    """The instrumentor of agno."""

    def __init__(self) -> None:
        self._steps = MethodSteps("agno")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods of what the module defines."""
        from agno.exceptions import AgentRunException, RunCancelledException

        self._steps.start(calls, AgentRunException, RunCancelledException)
        name = module.__name__.rpartition(".")[2]
        if name in ("agent", "team", "workflow"):
            kind = getattr(module, name.capitalize())
            open_run = self._open_workflow if name == "workflow" else self._open_agent
            for method in ("run", "continue_run"):
                self._steps.patch(kind, method, open_run)
                self._steps.patch(kind, f"a{method}", open_run, is_lazy=True)
        elif name == "function":
            for method in ("execute", "aexecute"):
                self._steps.patch(module.FunctionCall, method, self._open_function)
        elif name == "knowledge":
            for method in ("search", "asearch"):
                self._steps.patch(module.Knowledge, method, self._open_search)
        else:
            for method in ("execute", "execute_stream", "aexecute", "aexecute_stream"):
                self._steps.patch(getattr(module, name.capitalize()), method, self._open_step)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._steps.stop()

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
