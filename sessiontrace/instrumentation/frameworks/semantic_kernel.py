"""Semantic Kernel: agents, orchestrations, functions and searches become steps.

    a call                                       becomes
    -------------------------------------------  -----------------------------------------------
    ``get_response``, ``invoke``,                an agent event, once for all of them
    ``invoke_stream`` of an agent
    ``invoke`` of an orchestration, until it     a chain event; what its agents do is below it,
    has its result                               whichever runtime delivers the messages
    a function                                   a tool event; one that is a prompt, a chain
    a search in a vector store or memory         a retriever event

Its own spans have content only where the program's environment says so, so the methods are wrapped;
models are recorded by their SDKs. Runs inside the runs. Invariant: what the program's own telemetry
gets stays as it was.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sessiontrace.capture.handle import OPEN
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.method_steps import MethodSteps, Run
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.placement import deeper, innermost, is_inside_agent
from sessiontrace.instrumentation.core.response_fields import get_field, without_none
from sessiontrace.instrumentation.core.streamed_runs import Inside
from sessiontrace.instrumentation.semantic_kernel_runs.runs import (
    AgentRun,
    OrchestrationRun,
    SearchRun,
    history_of,
    open_function,
    open_search,
)
from sessiontrace.model.lru_cache import LruCache

_RUNS_MAX = 1_000
_AGENT_METHODS = ("get_response", "invoke", "invoke_stream")


class SemanticKernel:
    """The instrumentor of semantic-kernel."""

    def __init__(self) -> None:
        self._steps = MethodSteps("semantic_kernel")
        self._patcher = MethodPatcher()
        self._spans: LruCache[str, Span] = LruCache(_RUNS_MAX)  # of orchestrations, by topic

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods of what the module defines."""
        self._steps.start(calls)
        name = module.__name__.rpartition(".")[2]
        if name == "agent":
            for method in _AGENT_METHODS:
                vars(module.Agent)[method]  # KeyError where agents work in another way
            for kind in _kinds(module.Agent):
                self._adopt(kind)
            self._patcher.patch(module.Agent, "model_post_init", self._wrap_init)
        elif name == "kernel_function":
            for method in ("invoke", "invoke_stream"):
                self._steps.patch(module.KernelFunction, method, open_function)
        elif name == "orchestration_base":
            self._steps.patch(module.OrchestrationBase, "invoke", _open_orchestration)
            self._patcher.patch(module.OrchestrationBase, "__init__", self._wrap_orchestration)
        elif name == "agent_actor_base":
            self._patcher.patch(module.ActorBase, "on_message_impl", self._wrap_message)
        elif name == "vector":
            for method in ("search", "hybrid_search"):
                self._steps.patch(module.VectorSearch, method, self._open_search)
        else:
            self._steps.patch(module.SemanticTextMemory, "search", self._open_search)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._steps.stop()
        self._patcher.restore()

    def _adopt(self, kind: Any) -> None:
        """Wrap the methods where this kind of agent defines them."""
        for name in _AGENT_METHODS:
            method = vars(kind).get(name)
            if method is not None and not getattr(method, "__isabstractmethod__", False):
                self._steps.patch(kind, name, _open_agent)

    def _wrap_init(self, original: Any) -> Any:
        @functools.wraps(original)
        def model_post_init(agent: Any, *args: Any, **options: Any) -> None:
            original(agent, *args, **options)
            if self._steps.calls is not None:
                for kind in type(agent).__mro__:
                    self._adopt(kind)

        return model_post_init

    def _wrap_orchestration(self, original: Any) -> Any:
        @functools.wraps(original)
        def __init__(orchestration: Any, *args: Any, **options: Any) -> None:  # noqa: N807
            original(orchestration, *args, **options)
            if self._steps.calls is not None:
                kinds = [kind for kind in type(orchestration).__mro__ if "_prepare" in vars(kind)]
                self._patcher.patch(kinds[0], "_prepare", self._wrap_prepare)

        return __init__

    def _wrap_prepare(self, original: Any) -> Any:
        """Remember the orchestration of a topic, which its actors' types end with."""

        @functools.wraps(original)
        async def _prepare(orchestration: Any, *args: Any, **options: Any) -> Any:
            recorder = None if self._steps.calls is None else self._steps.calls.recorder()
            topic = options.get("internal_topic_type")
            span = None if recorder is None else recorder.current.get()
            if isinstance(topic, str) and isinstance(span, Span):
                self._spans.put(topic, span)
            return await original(orchestration, *args, **options)

        return _prepare

    def _wrap_message(self, original: Any) -> Any:
        """Below the orchestration that a message is of, where a runtime serves several."""

        @functools.wraps(original)
        async def on_message_impl(actor: Any, *args: Any, **options: Any) -> Any:
            recorder = None if self._steps.calls is None else self._steps.calls.recorder()
            topic = str(get_field(get_field(actor, "id"), "type")).rpartition("_")[2]
            span = self._spans.get(topic)
            if recorder is None or span is None or span.state != OPEN:
                return await original(actor, *args, **options)
            with Inside(recorder.current, deeper(innermost(recorder), span)):
                return await original(actor, *args, **options)

        return on_message_impl

    def _open_search(self, calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
        span = open_search(calls, args, options)
        return None if span is None else SearchRun(span, self._steps.read_later)


ENTRY = Entry(
    name="semantic-kernel",
    target="semantic_kernel.functions.kernel_function",
    make=SemanticKernel,
    also=(
        "semantic_kernel.agents.agent",
        "semantic_kernel.agents.orchestration.orchestration_base",
        "semantic_kernel.agents.orchestration.agent_actor_base",
        "semantic_kernel.data.vector",
        "semantic_kernel.memory.semantic_text_memory",
    ),
)


def _kinds(kind: Any) -> Iterator[Any]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


def _open_agent(calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
    agent, recorder = args[0], calls.recorder()
    name = str(get_field(agent, "name") or type(agent).__name__)
    if recorder is None or is_inside_agent(innermost(recorder), name):
        return None
    messages = options["messages"] if "messages" in options else (*args, None)[1]
    model = get_field(get_field(agent, "service"), "ai_model_id")
    span = calls.step(
        name,
        "agent",
        inputs=history_of(messages),
        config=without_none({"agent": type(agent).__name__, "model": model}),
        metadata={"agent_name": name},
    )
    return None if span is None else AgentRun(span)


def _open_orchestration(calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
    orchestration = args[0]
    task = options["task"] if "task" in options else args[1]
    members = [
        str(get_field(member, "name")) for member in get_field(orchestration, "_members") or ()
    ]
    span = calls.chain(
        type(orchestration).__name__,
        inputs=history_of(task),
        config={"agents": members},
    )
    return None if span is None else OrchestrationRun(span)
