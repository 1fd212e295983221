"""LangChain and LangGraph: a callback handler that every run gets by LangChain's configure hook.

Its methods run inside the runs, in their thread or task. Parents come from LangChain's run ids, not
from the context, which differs from thread to thread. Invariant: the handler raises nothing, and
the call of the provider's SDK below a model run contributes to the event of that run.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from sessiontrace.capture.span import UNSET, Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    pick,
    tool_call,
    without_none,
)

_HIDDEN = "langsmith:hidden"
_RUNS_MAX = 10_000

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "chat": "user"}

_HYPERPARAMETERS = frozenset(
    {"temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "stream", "n", "seed"}
)


class LangChain:
    """The instrumentor of langchain-core."""

    def __init__(self) -> None:
        self._hooks: list[Any] | None = None
        self._entry: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Register a context variable whose default is the handler, so that every run gets it."""
        if self._hooks is not None:
            return
        from langchain_core.callbacks.base import BaseCallbackHandler
        from langchain_core.tracers import context

        kind: Any = type("SessionTraceCallbacks", (_Callbacks, BaseCallbackHandler), {})
        callbacks = kind(calls)
        variable: ContextVar[Any] = ContextVar("sessiontrace.langchain", default=callbacks)
        before = len(context._configure_hooks)
        context.register_configure_hook(variable, inheritable=True)
        self._hooks = context._configure_hooks
        self._entry = self._hooks[before]

    def uninstall(self) -> None:
        """Runs that start from now on do not get the handler."""
        if self._hooks is not None and self._entry in self._hooks:
            self._hooks.remove(self._entry)
        self._hooks = None


ENTRY = Entry(name="langchain", target="langchain_core.callbacks.manager", make=LangChain)


class _Callbacks:
    """LangChain's events, by run id; mixed with LangChain's handler class at install.

    LangChain would log what a method raises, in the user's program.
    """

    run_inline = True  # in the task of the run, so that the provider's SDK sees the open call
    raise_error = False

    def __init__(self, calls: CallRecorder) -> None:
        self._calls = calls
        self._spans: dict[Any, Span | None] = {}
        self._models: dict[Any, _ModelRun] = {}

    def _parent(self, parent_run_id: Any) -> Span | None:
        return self._spans.get(parent_run_id)

    # -- model runs -------------------------------------------------------------------------

    @never_raises(None)
    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        **extra: Any,
    ) -> None:
        """A chat model is called."""
        history = [_message(message) for message in (messages[0] if messages else ())]
        self._start_model(run_id, parent_run_id, {"chat_history": history}, extra)

    @never_raises(None)
    def on_llm_start(
        self, serialized: Any, prompts: Any, *, run_id: Any, parent_run_id: Any = None, **extra: Any
    ) -> None:
        """A model that completes texts is called."""
        inputs = {"prompt": prompts[0] if len(prompts) == 1 else prompts}
        self._start_model(run_id, parent_run_id, inputs, extra)

    def _start_model(
        self, run_id: Any, parent_run_id: Any, inputs: dict[str, Any], extra: dict[str, Any]
    ) -> None:
        parameters = extra.get("invocation_params") or {}
        metadata = extra.get("metadata") or {}
        model = parameters.get("model") or parameters.get("model_name")
        config: dict[str, Any] = {
            "type": "chat",
            "model": model or metadata.get("ls_model_name"),
            "provider": metadata.get("ls_provider"),
        }
        hyperparameters = pick(parameters, _HYPERPARAMETERS)
        if hyperparameters:
            config["hyperparameters"] = hyperparameters
        if parameters.get("tools"):
            config["tools"] = parameters["tools"]
        name = f"chat {config['model'] or extra.get('name') or 'model'}"
        call = self._calls.model(
            name, inputs=inputs, config=without_none(config), parent=self._parent(parent_run_id)
        )
        if call is not None and len(self._models) < _RUNS_MAX:
            call.begin()
            self._models[run_id] = _ModelRun(call)

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
            outputs, metadata = _generated(response.generations[0][0])
        except Exception as fault:  # an unknown form; a call left open would take in later ones
            outputs, metadata = UNSET, {"unread": type(fault).__name__}
        model.call.end(outputs=outputs, metadata=metadata, metrics=model.metrics())

    @never_raises(None)
    def on_llm_error(self, error: BaseException, *, run_id: Any, **extra: Any) -> None:
        """The model has failed."""
        model = self._models.pop(run_id, None)
        if model is not None:
            model.call.fail(error, metrics=model.metrics())

    # -- chains, tools and retrievers -------------------------------------------------------

    @never_raises(None)
    def on_chain_start(self, serialized: Any, inputs: Any, **extra: Any) -> None:
        """A runnable, or a node of a graph, starts."""
        self._start("chain", serialized, inputs, extra)

    @never_raises(None)
    def on_tool_start(self, serialized: Any, input_str: Any, **extra: Any) -> None:
        """A tool starts."""
        inputs = extra.get("inputs")
        self._start("tool", serialized, input_str if inputs is None else inputs, extra)

    @never_raises(None)
    def on_retriever_start(self, serialized: Any, query: Any, **extra: Any) -> None:
        """A retriever starts."""
        self._start("tool", serialized, {"query": query}, extra)

    @never_raises(None)
    def on_chain_end(self, outputs: Any, *, run_id: Any, **extra: Any) -> None:
        """A runnable has given its result."""
        self._end(run_id, outputs)

    @never_raises(None)
    def on_tool_end(self, output: Any, *, run_id: Any, **extra: Any) -> None:
        """A tool has given its result, maybe as a message."""
        metadata = without_none({"tool_call_id": get_field(output, "tool_call_id")})
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
        """A runnable, tool or retriever has failed."""
        span = self._spans.pop(run_id, None)
        if span is not None:
            span.__exit__(type(error), error, error.__traceback__)

    on_tool_error = on_chain_error
    on_retriever_error = on_chain_error

    def _start(self, type: str, serialized: Any, inputs: Any, extra: dict[str, Any]) -> None:
        parent = self._parent(extra.get("parent_run_id"))
        if _HIDDEN in (extra.get("tags") or ()):
            self._spans[extra["run_id"]] = (
                parent  # the children of a hidden run belong to its parent
            )
            return
        name = extra.get("name") or (serialized or {}).get("name") or type
        fields = {"input": inputs} if not isinstance(inputs, Mapping) else dict(inputs)
        if "messages" in fields and isinstance(fields["messages"], (list, tuple)):
            fields["messages"] = [_message(message) for message in fields["messages"]]
        span = self._calls.open(name, type, inputs=fields, parent=parent)
        if span is not None and len(self._spans) < _RUNS_MAX:
            self._spans[extra["run_id"]] = span

    def _end(self, run_id: Any, outputs: Any, metadata: dict[str, Any] | None = None) -> None:
        hidden = run_id not in self._spans
        span = self._spans.pop(run_id, None)
        if span is None or hidden or span in self._spans.values():
            return
        if isinstance(outputs, Mapping) and isinstance(outputs.get("messages"), (list, tuple)):
            outputs = {
                **outputs,
                "messages": [_message(message) for message in outputs["messages"]],
            }
        elif get_field(outputs, "type") in ("ai", "AIMessageChunk", "human", "tool"):
            outputs = _message(outputs)
        span.set(metadata=metadata or None)
        span.end(outputs=outputs)


class _ModelRun:
    """A model run, and the progress of its stream."""

    __slots__ = ("_chunks", "_first_ms", "call")

    def __init__(self, call: ModelCall) -> None:
        self.call = call
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


def _generated(generation: Any) -> tuple[Any, dict[str, Any]]:
    """Outputs and metadata of a generation: a message or a text."""
    message = getattr(generation, "message", None)
    if message is None:
        return {"role": "assistant", "content": generation.text}, {}
    return _message(message), _usage(message)


def _message(message: Any) -> Any:
    """A LangChain message in the form that events have."""
    if isinstance(message, tuple) and len(message) == 2:
        return {"role": _ROLES.get(message[0], message[0]), "content": message[1]}
    kind = get_field(message, "type")
    if kind is None or isinstance(message, Mapping):
        return message
    role = get_field(message, "role") or _ROLES.get(kind, kind)
    fields: dict[str, Any] = {"role": role, "content": get_field(message, "content")}
    calls = get_field(message, "tool_calls")
    if calls:
        fields["tool_calls"] = [
            tool_call(get_field(call, "id"), get_field(call, "name"), get_field(call, "args"))
            for call in calls
        ]
    if kind == "tool":
        fields["tool_call_id"] = get_field(message, "tool_call_id")
    return fields


def _usage(message: Any) -> dict[str, Any]:
    usage = get_field(message, "usage_metadata")
    response = get_field(message, "response_metadata") or {}
    read = get_field(usage, "input_token_details")
    written = get_field(usage, "output_token_details")
    return without_none(
        {
            "prompt_tokens": get_field(usage, "input_tokens"),
            "completion_tokens": get_field(usage, "output_tokens"),
            "total_tokens": get_field(usage, "total_tokens"),
            "cache_read_tokens": get_field(read, "cache_read"),
            "cache_write_tokens": get_field(read, "cache_creation"),
            "reasoning_tokens": get_field(written, "reasoning"),
            "finish_reason": response.get("finish_reason") or response.get("stop_reason"),
            "response_model": response.get("model_name") or response.get("model"),
            "response_id": get_field(message, "id"),
        }
    )
