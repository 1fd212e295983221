"""The runs of LangChain and LangGraph as a tree of events, from the callbacks of each run.

The methods run inside the runs, in their thread or task. Async runs report their ends in a task of
their own, so nothing here depends on a start and an end that share a context:

    what                        where it comes from
    --------------------------  --------------------------------------------------------------------
    the parent of a run         LangChain's run ids; a span that the program has open inside the
                                parent run comes first
    the current span of a run   set in the context that LangChain makes for the work of the run, not
                                in that of the caller
    the open call of a model    entered around the work of that run alone (``working``)

Invariant: the handler raises nothing, and the call of the provider's SDK below a model run
contributes to the event of that run.
"""

from __future__ import annotations

import sys
from asyncio import _get_running_loop
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import UNSET
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import deeper, innermost
from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.langchain_runs.messages import (
    llm_answer,
    message,
    with_messages,
)
from sessiontrace.runtime.signals import is_from_signal, raise_if_from_signal

__all__ = ["RunCallbacks"]

_HIDDEN = "langsmith:hidden"
_RUNS_MAX = 10_000

_HYPERPARAMETERS = frozenset(
    {"temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "stream", "n", "seed"}
)

_AGENT_NAMES = frozenset({"AgentExecutor", "LangGraph"})
_AGENT_METADATA = ("lc_agent_name", "ls_integration")  # of LangChain 1 and of graphs
_INTERNAL_METADATA = ("ls_", "lc_", "__", "checkpoint_ns")
_INTERNAL_TAGS = ("seq:step:", "graph:step:", "map:key:", "langsmith:")

_TASKS_TAKE_CONTEXTS = sys.version_info >= (3, 11)

_CONTROL_FLOW = (GeneratorExit, StopIteration, StopAsyncIteration)


_batch: ContextVar[list[Any] | None] = ContextVar("sessiontrace.langchain_batch", default=None)
"""The ids of the model runs that the ``generate`` of this context has started."""


class _Run:
    """A run that is open. ``span``: its own, or where it is ``hidden``, the one it belongs to."""

    __slots__ = ("conversation", "hidden", "metadata", "span", "tags")

    def __init__(
        self, span: Handle, extra: Mapping[str, Any], conversation: Session | None, hidden: bool
    ) -> None:
        self.span = span
        self.hidden = hidden
        self.conversation = conversation
        self.metadata = extra.get("metadata") or {}
        self.tags = extra.get("tags") or ()


class _ModelRun:
    """A model run, and the progress of its stream."""

    __slots__ = ("_chunks", "_first_ms", "batch", "call", "conversation", "result", "sequential")

    def __init__(self, call: ModelCall, conversation: Session | None) -> None:
        self.call = call
        self.conversation = conversation
        self.batch: list[Any] = []  # the ids of the runs that one ``generate`` started
        self.sequential = False  # its prompts are answered one after the other
        self.result: Any = None
        self._chunks = 0
        self._first_ms = 0.0

    def chunk(self) -> None:
        """A token has arrived; the program's own code runs between tokens, so leave the call."""
        if not self._chunks:
            self._first_ms = self.call.age_ms()
            self.call.leave()
        self._chunks += 1

    def metrics(self) -> dict[str, Any] | None:
        """The time to the first chunk and the number of chunks; None when there was none."""
        if not self._chunks:
            return None
        return {"time_to_first_chunk_ms": self._first_ms, "chunks": self._chunks}


class RunCallbacks:
    """LangChain's events, by run id; mixed with LangChain's handler class at install.

    LangChain would log what a method raises, in the user's program. ``enters_contexts``: the
    context of a run's own work is entered with ``enter_context``. ``wraps_models``: the work of a
    model run is done inside ``working``. ``wrap_graphs``: wraps LangGraph, once that is imported.
    """

    run_inline = True  # in the task of the run, so that the provider's SDK sees the open call
    raise_error = False

    def __init__(self, calls: CallRecorder) -> None:
        self._calls = calls
        self._runs: dict[Any, _Run] = {}
        self._models: dict[Any, _ModelRun] = {}
        self.enters_contexts = False
        self.wraps_models = False
        self.wrap_graphs: Callable[[], bool] | None = None

    @never_raises(None)
    def enter_context(self, config: Any) -> None:
        """Make the span of a run current, in the context that LangChain made for its work."""
        run = self._runs.get(getattr(config.get("callbacks"), "parent_run_id", None))
        if run is not None and run.span.state == OPEN:
            run.span.recorder.current.set(run.span)

    def working(self, run_id: Any, *, sequential: bool) -> ModelCall | None:
        """The open call of a model run, to enter around its work."""
        model = self._models.get(run_id)
        if model is None:
            return None
        model.sequential = sequential
        return model.call

    def worked(self, run_id: Any, result: Any) -> None:
        """Keep the result of a prompt until all prompts of its ``generate`` have theirs."""
        model = self._models.get(run_id)
        if model is not None and len(model.batch) > 1:
            model.result = result

    def _end_batch(self, failed: _ModelRun) -> None:
        """End the others of a ``generate`` that a prompt broke off: LangChain reports no end."""
        for run_id in failed.batch:
            model = self._models.pop(run_id, None)
            if model is None:
                continue
            if model.result is None:
                model.call.end(metadata={"skipped": "another prompt of the call failed"})
            else:
                outputs, metadata = llm_answer(
                    SimpleNamespace(
                        generations=[model.result.generations], llm_output=model.result.llm_output
                    )
                )
                model.call.end(outputs=outputs, metadata=metadata)

    # -- model runs -------------------------------------------------------------------------

    @never_raises(None)
    def on_chat_model_start(self, serialized: Any, messages: Any, **extra: Any) -> None:
        """A chat model is called."""
        history = [message(entry) for entry in (messages[0] if messages else ())]
        self._start_model({"chat_history": history}, extra)

    @never_raises(None)
    def on_llm_start(self, serialized: Any, prompts: Any, **extra: Any) -> None:
        """A model that completes texts is called."""
        self._start_model({"prompt": prompts[0] if len(prompts) == 1 else prompts}, extra)

    def _start_model(self, inputs: dict[str, Any], extra: dict[str, Any]) -> None:
        if len(self._models) >= _RUNS_MAX:
            return
        parameters = extra.get("invocation_params") or {}
        metadata = extra.get("metadata") or {}
        model_name = parameters.get("model") or parameters.get("model_name")
        config: dict[str, Any] = {
            "type": "chat",
            "model": model_name or metadata.get("ls_model_name"),
            "provider": metadata.get("ls_provider"),
        }
        if hyperparameters := pick(parameters, _HYPERPARAMETERS):
            config["hyperparameters"] = hyperparameters
        if parameters.get("tools"):
            config["tools"] = parameters["tools"]
        name = f"chat {config['model'] or extra.get('name') or 'model'}"
        parent, conversation = self._place(name, inputs, extra)
        call = self._calls.model(
            name,
            inputs=inputs,
            config=without_none(config),
            metadata={"framework": "langchain", **(self._config_of(extra) or {})},
            parent=parent,
        )
        if call is None:
            return
        # A list of prompts starts all its runs before the first one works: none is around another.
        if not self.wraps_models or (extra.get("batch_size") or 1) == 1:
            call.begin()
        self._models[extra["run_id"]] = model_run = _ModelRun(call, conversation)
        if (size := extra.get("batch_size") or 1) > 1:
            batch = _batch.get()
            if batch is None or len(batch) >= size or batch[0] not in self._models:
                _batch.set(batch := [])
            batch.append(extra["run_id"])
            model_run.batch = batch

    @never_raises(None)
    def on_llm_new_token(self, token: Any, *, run_id: Any, **extra: Any) -> None:
        """A chunk of a streamed answer has arrived."""
        model = self._models.get(run_id)
        if model is not None:
            model.chunk()

    @never_raises(None)
    def on_llm_end(self, response: Any, *, run_id: Any, **extra: Any) -> None:
        """The model has answered."""
        model = self._models.pop(run_id, None)
        if model is None:
            return
        try:
            outputs, metadata = llm_answer(response)
        except Exception as fault:  # an unknown form; a call left open would take in later ones
            outputs, metadata = UNSET, {"unread": type(fault).__name__}
            if is_from_signal(fault):
                model.call.end(metadata=metadata)
                raise
        model.call.end(outputs=outputs, metadata=metadata, metrics=model.metrics())
        _end_conversation(model.conversation, outputs)

    @never_raises(None)
    def on_llm_error(self, error: BaseException, *, run_id: Any, **extra: Any) -> None:
        """The model has failed, or the program has stopped reading its stream."""
        model = self._models.pop(run_id, None)
        if model is None:
            return
        outputs, metadata = _partial_answer(extra.get("response"))
        if _is_control_flow(error):
            metadata["stream_end"] = "closed"
            model.call.end(outputs=outputs, metadata=metadata, metrics=model.metrics())
            _end_conversation(model.conversation, outputs)
        else:
            model.call.fail(error, outputs=outputs, metadata=metadata, metrics=model.metrics())
            _fail_conversation(model.conversation, error)
        if model.sequential:
            self._end_batch(model)

    # -- chains, tools and retrievers -------------------------------------------------------

    @never_raises(None)
    def on_chain_start(self, serialized: Any, inputs: Any, **extra: Any) -> None:
        """A runnable, or a node of a graph, starts."""
        self._start("agent" if self._is_agent(extra) else "chain", serialized, inputs, extra)

    @never_raises(None)
    def on_tool_start(self, serialized: Any, input_str: Any, **extra: Any) -> None:
        """A tool starts."""
        inputs = extra.get("inputs")
        self._start("tool", serialized, input_str if inputs is None else inputs, extra)

    @never_raises(None)
    def on_retriever_start(self, serialized: Any, query: Any, **extra: Any) -> None:
        """A retriever starts; LangChain makes no context for its work."""
        self._start("retriever", serialized, {"query": query}, extra, current=True)

    @never_raises(None)
    def on_chain_end(self, outputs: Any, *, run_id: Any, **extra: Any) -> None:
        """A runnable has given its result."""
        self._end(run_id, outputs)

    @never_raises(None)
    def on_tool_end(self, output: Any, *, run_id: Any, **extra: Any) -> None:
        """A tool has given its result, maybe as a message."""
        metadata = without_none(
            {
                "tool_call_id": get_field(output, "tool_call_id"),
                "artifact": get_field(output, "artifact"),
            }
        )
        status = get_field(output, "status")
        if status not in (None, "success"):
            metadata["status"] = status
        content = get_field(output, "content")
        self._end(run_id, output if content is None else content, metadata)

    @never_raises(None)
    def on_retriever_end(self, documents: Any, *, run_id: Any, **extra: Any) -> None:
        """A retriever has given its documents."""
        outputs = [
            {
                "content": get_field(document, "page_content"),
                "metadata": get_field(document, "metadata"),
            }
            for document in documents
        ]
        self._end(run_id, {"documents": outputs})

    @never_raises(None)
    def on_chain_error(self, error: BaseException, *, run_id: Any, **extra: Any) -> None:
        """A runnable, tool or retriever has failed, or hands the control to the graph."""
        if _is_control_flow(error):
            metadata = {"control_flow": type(error).__name__}
            self._end(run_id, UNSET if not error.args else error.args[0], metadata)
            return
        run = self._runs.pop(run_id, None)
        if run is not None and not run.hidden:
            run.span.__exit__(type(error), error, error.__traceback__)
            _fail_conversation(run.conversation, error)

    on_tool_error = on_chain_error
    on_retriever_error = on_chain_error

    def _start(
        self,
        type: str,
        serialized: Any,
        inputs: Any,
        extra: dict[str, Any],
        *,
        current: bool = False,
    ) -> None:
        if len(self._runs) >= _RUNS_MAX:
            return
        if self.wrap_graphs is not None and self.wrap_graphs():
            self.wrap_graphs = None
        name = extra.get("name") or (serialized or {}).get("name") or type
        if _HIDDEN in (extra.get("tags") or ()):
            parent = self._parent(extra.get("parent_run_id"))
            if parent is not None:  # the children of a hidden run belong to its parent
                self._runs[extra["run_id"]] = _Run(parent, extra, None, hidden=True)
            return
        shaped = with_messages(inputs)
        fields = dict(shaped) if isinstance(shaped, Mapping) else {"input": shaped}
        parent, conversation = self._place(name, fields, extra)
        span = self._calls.open(
            name,
            type,
            parent=parent,
            current=current or not self._enters_context(),
            inputs=fields,
            metadata=self._config_of(extra),
        )
        if span is not None:
            self._runs[extra["run_id"]] = _Run(span, extra, conversation, hidden=False)

    def _end(self, run_id: Any, outputs: Any, metadata: dict[str, Any] | None = None) -> None:
        run = self._runs.pop(run_id, None)
        if run is None or run.hidden:
            return
        outputs = with_messages(outputs)
        run.span.set(metadata=metadata or None)
        run.span.end(outputs=outputs)
        _end_conversation(run.conversation, outputs)

    def _enters_context(self) -> bool:
        """Whether a run works in a context of its own; before Python 3.11 async ones do not."""
        return self.enters_contexts and (_TASKS_TAKE_CONTEXTS or _get_running_loop() is None)

    # -- placement --------------------------------------------------------------------------

    def _parent(self, parent_run_id: Any) -> Handle | None:
        """The span that a run belongs below; None: the one that is current where it starts."""
        run = self._runs.get(parent_run_id)
        if run is None:
            return None
        recorder = self._calls.recorder()
        return deeper(None if recorder is None else innermost(recorder), run.span)

    def _place(
        self, name: str, inputs: dict[str, Any], extra: dict[str, Any]
    ) -> tuple[Handle | None, Session | None]:
        """The parent of a run, and the conversation that it opens where no session is open."""
        parent = self._parent(extra.get("parent_run_id"))
        thread_id = (extra.get("metadata") or {}).get("thread_id")
        if parent is not None or thread_id is None:
            return parent, None
        recorder = self._calls.recorder()
        if recorder is None or innermost(recorder) is not None:
            return None, None
        conversation = Session(recorder, name, session_id=str(thread_id), inputs=inputs)
        return (conversation, conversation) if conversation.open_here() else (None, None)

    def _is_agent(self, extra: dict[str, Any]) -> bool:
        """Whether a run is an agent's: LangChain's agents name it, and graphs are agents.

        The runs inside an agent or a graph inherit its metadata.
        """
        if extra.get("name") in _AGENT_NAMES:
            return True
        metadata, run = extra.get("metadata") or {}, self._runs.get(extra.get("parent_run_id"))
        inherited: Mapping[str, Any] = {} if run is None else run.metadata
        return any(
            metadata.get(name) is not None and metadata.get(name) != inherited.get(name)
            for name in _AGENT_METADATA
        )

    def _config_of(self, extra: dict[str, Any]) -> dict[str, Any] | None:
        """Metadata and tags of the run's config that its parent run does not have already."""
        run = self._runs.get(extra.get("parent_run_id"))
        inherited: Mapping[str, Any] = {} if run is None else run.metadata
        own = {
            name: value
            for name, value in (extra.get("metadata") or {}).items()
            if not name.startswith(_INTERNAL_METADATA) and inherited.get(name, UNSET) != value
        }
        inherited_tags = () if run is None else run.tags
        tags = [
            tag
            for tag in extra.get("tags") or ()
            if tag not in inherited_tags and not tag.startswith(_INTERNAL_TAGS)
        ]
        if tags:
            own["tags"] = tags
        return own or None


def _is_control_flow(error: BaseException) -> bool:
    """Whether the exception hands on control: LangGraph's interrupts and hand-offs, and closing."""
    return isinstance(error, _CONTROL_FLOW) or any(
        kind.__name__ == "GraphBubbleUp" and kind.__module__.startswith("langgraph.")
        for kind in type(error).__mro__
    )


def _partial_answer(response: Any) -> tuple[Any, dict[str, Any]]:
    """What had arrived when a model run failed."""
    try:
        if response is not None and response.generations and response.generations[0]:
            return llm_answer(response)
    except Exception as fault:  # no answer, then
        raise_if_from_signal(fault)
    return UNSET, {}


def _end_conversation(conversation: Session | None, outputs: Any) -> None:
    if conversation is not None:
        conversation.end(outputs=outputs)


def _fail_conversation(conversation: Session | None, error: BaseException) -> None:
    if conversation is not None:
        conversation.__exit__(type(error), error, error.__traceback__)
