"""The steps that LlamaIndex's dispatcher reports, each below the step that it runs in.

    a step of                          becomes
    ---------------------------------  ---------------------------------------------------------
    a model: chat, complete, stream    a model event; the provider's SDK below contributes to it
    an embedding model                 a model event, too
    a tool                             a tool event with the tool's name and arguments
    a retriever                        a tool event with the query and the documents
    a method whose name begins with _  nothing; its own steps belong to the step around it
    anything else                      a chain event: agents, workflows, engines, synthesizers

The methods run inside the steps. Invariant: the handler raises nothing, and the event of a stream
ends with the stream, not with the method that returned it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.capture.handle import Handle
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import deeper, innermost
from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.llama_index_runs.messages import (
    answer,
    is_stream,
    message,
    nodes,
    shaped,
    step_inputs,
)

__all__ = ["Steps"]

_FRAMEWORK = {"framework": "llama-index"}
_AGENTS = frozenset({"BaseWorkflowAgent", "AgentWorkflow"})

_OPEN_MAX = 10_000
_HYPERPARAMETERS = frozenset({"temperature", "max_tokens", "top_p", "seed", "stop"})
_LLM_METHODS = frozenset(
    prefix + method
    for prefix in ("", "a", "stream_", "astream_")
    for method in ("chat", "complete")
)
_CONTROL_FLOW = (GeneratorExit, StopIteration, StopAsyncIteration)


class _Step:
    """A step that has not ended. ``handle``: the event that its own steps go below.

    ``method``: the object and the method's name. ``answered``: its outputs have been reported.
    """

    __slots__ = ("answered", "call", "handle", "method", "span")

    def __init__(
        self, handle: Handle | None, span: Span | None, call: ModelCall | None, method: Any
    ) -> None:
        self.handle = handle
        self.span = span
        self.call = call
        self.method = method
        self.answered = False


class Steps:
    """The open steps, by LlamaIndex's ids."""

    def __init__(self, calls: CallRecorder) -> None:
        self._calls = calls
        self._steps: dict[str, _Step] = {}
        self._streams: dict[int, ModelCall] = {}

    # -- steps ------------------------------------------------------------------------------

    @never_raises(None)
    def enter(self, id_: str, bound_args: Any, *args: Any, **extra: Any) -> None:
        """A method of the library starts."""
        recorder = self._calls.recorder()
        if recorder is None or len(self._steps) >= _OPEN_MAX:
            return
        instance = extra.get("instance")
        name = ".".join(id_.partition("-")[0].split(".")[-2:])
        method = (instance, name.rpartition(".")[2])
        above = self._steps.get(extra.get("parent_id") or "")
        parent = deeper(innermost(recorder), None if above is None else above.handle)
        kind = _kind(*method)
        if kind == "hidden" or (above is not None and _continues(above.method, method, kind)):
            self._steps[id_] = _Step(parent, None, None, method)
            return
        if kind in ("chat", "embeddings"):
            self._enter_model(id_, kind, method, parent, bound_args.arguments)
            return
        inputs = step_inputs(bound_args.arguments)
        if kind == "tool":
            name = _tool_name(instance) or name
            inputs = {name: value for name, value in inputs.items() if name != "args" or value}
        metadata = _agent(instance, name) if kind == "chain" else None
        event_type = kind if metadata is None else "agent"
        span = self._calls.open(name, event_type, parent=parent, inputs=inputs, metadata=metadata)
        self._steps[id_] = _Step(span, span, None, method)

    def _enter_model(
        self, id_: str, kind: str, method: Any, parent: Handle | None, arguments: Any
    ) -> None:
        inputs = {
            name: value
            for name, value in step_inputs(arguments).items()
            if name in ("prompt", "query", "text", "texts")
        }
        if messages := arguments.get("messages"):
            inputs = {"chat_history": [message(entry) for entry in messages]}
        config = without_none({"type": kind, "provider": _provider(method[0])})
        call = self._calls.model(
            kind, inputs=inputs, config=config, metadata=_FRAMEWORK, parent=parent
        )
        if call is not None:
            call.begin()
            self._steps[id_] = _Step(call.span, None, call, method)

    @never_raises(None)
    def leave(self, id_: str, *args: Any, **extra: Any) -> None:
        """The method has returned."""
        step = self._steps.pop(id_, None)
        if step is None:
            return
        result = extra.get("result")
        if step.call is not None:
            step.call.leave()
            if is_stream(result):
                self._streams[id(result)] = step.call
            else:
                _end_model(step.call, result)
        elif step.span is not None:
            _end_step(step, step.span, result)

    @never_raises(None)
    def drop(self, id_: str, *args: Any, **extra: Any) -> None:
        """The method has raised an exception."""
        step = self._steps.pop(id_, None)
        error = extra.get("err")
        if step is None:
            return
        if step.call is not None:
            step.call.end() if error is None else step.call.fail(error)
        elif step.span is not None:
            if isinstance(error, _CONTROL_FLOW) or type(error).__name__ == "WaitingForEvent":
                step.span.set(metadata={"control_flow": type(error).__name__})
                error = None
            if error is None:
                step.span.end()
            else:
                step.span.__exit__(type(error), error, error.__traceback__)

    def stream_call(self, stream: Any) -> ModelCall | None:
        """The call of a stream that a model's method has just returned."""
        return self._streams.pop(id(stream), None)

    # -- events -----------------------------------------------------------------------------

    @never_raises(None)
    def handle(self, event: Any) -> None:
        """An event has happened inside one of the steps."""
        step = self._steps.get(event.span_id or "")
        reader = _EVENTS.get(type(event).__name__)
        if step is not None and reader is not None:
            reader(step, event)


def _kind(instance: Any, method: str) -> str:
    kinds = {kind.__name__ for kind in type(instance).__mro__}
    if "BaseLLM" in kinds and method in _LLM_METHODS:
        return "chat"
    if "BaseEmbedding" in kinds and method.startswith(("get_", "aget_")):
        return "embeddings"
    if "BaseTool" in kinds and method in ("call", "acall", "__call__"):
        return "tool"
    if "BaseRetriever" in kinds and method in ("retrieve", "aretrieve"):
        return "retriever"
    internal = method.startswith("_") or "TextSplitter" in kinds
    return "hidden" if internal else "chain"


def _agent(instance: Any, name: str) -> dict[str, Any] | None:
    """What makes the step an agent's run; None for any other step."""
    kinds = {kind.__name__ for kind in type(instance).__mro__}
    if not kinds & _AGENTS or not name.endswith(".run"):
        return None
    own = getattr(instance, "name", None)
    return {"agent_name": own if isinstance(own, str) else type(instance).__name__}


def _continues(outer: Any, method: Any, kind: str) -> bool:
    """Whether a step is the work of the step around it: a method that calls that of its base."""
    return outer[0] is method[0] is not None and (outer[1] == method[1] or kind == "tool")


def _tool_name(instance: Any) -> str | None:
    name = get_field(getattr(instance, "metadata", None), "name")
    return name if isinstance(name, str) else None


def _provider(instance: Any) -> str | None:
    """The integration package that the model's class comes from, such as "openai"."""
    parts = type(instance).__module__.split(".")
    if parts[0] == "llama_index" and len(parts) > 2 and parts[1] in ("llms", "embeddings"):
        return parts[2]
    return None


def _end_model(call: ModelCall, result: Any) -> None:
    if get_field(result, "message") is None and get_field(result, "text") is None:
        call.end()  # vectors: their event has been read
        return
    outputs, metadata = answer(result)
    call.end(outputs=outputs, metadata=metadata)


def _end_step(step: _Step, span: Span, result: Any) -> None:
    content = getattr(result, "content", None) if span.type == "tool" else None
    if get_field(result, "is_error") is True:  # a tool's failure, handed to the model
        span.set_error(str(content or "error"))
    outputs = shaped(result) if content is None else content
    if outputs is None or step.answered or is_stream(result):
        span.end()
    else:
        span.end(outputs=outputs)


def _model_name(settings: Any) -> Any:
    """The model's name; LlamaIndex says "unknown" where a class has none."""
    names = [settings.get(name) for name in ("model", "model_name", "class_name")]
    return next((name for name in names if name and name != "unknown"), None)


def _model_started(step: _Step, event: Any) -> None:
    if step.call is None:
        return
    settings = get_field(event, "model_dict") or {}
    model = _model_name(settings)
    parameters = pick(settings, _HYPERPARAMETERS)
    config = without_none({"model": model, "hyperparameters": parameters or None})
    prompt, messages = get_field(event, "prompt"), get_field(event, "messages")
    inputs: Any = None
    if messages is not None:
        inputs = {"chat_history": [message(entry) for entry in messages]}
    elif prompt is not None:
        inputs = {"prompt": prompt}
    step.call.describe(f"chat {model}", inputs=inputs, config=config)


def _embedding_started(step: _Step, event: Any) -> None:
    if step.call is None:
        return
    settings = get_field(event, "model_dict") or {}
    model = _model_name(settings)
    step.call.describe(f"embeddings {model}", config=without_none({"model": model}))


def _embedding_ended(step: _Step, event: Any) -> None:
    """A batch has its vectors; a step may have several."""
    if step.call is None:
        return
    texts, vectors = get_field(event, "chunks") or [], get_field(event, "embeddings") or []
    size = len(vectors[0]) if vectors and hasattr(vectors[0], "__len__") else None
    step.call.describe(
        step.call.span.name,
        inputs={"input": texts[0] if len(texts) == 1 else texts},
        outputs=without_none({"embeddings": len(vectors), "dimensions": size}),
    )


def _retrieved(step: _Step, event: Any) -> None:
    if step.span is not None:
        step.answered = True
        step.span.set(outputs={"documents": nodes(get_field(event, "nodes") or ())})


def _retrieval_started(step: _Step, event: Any) -> None:
    if step.span is not None:
        step.span.set(inputs={"query": shaped(get_field(event, "str_or_query_bundle"))})


def _queried(step: _Step, event: Any) -> None:
    if step.span is not None:
        step.span.set(inputs={"query": shaped(get_field(event, "query"))})


_EVENTS: dict[str, Callable[[_Step, Any], None]] = {
    "LLMChatStartEvent": _model_started,
    "LLMCompletionStartEvent": _model_started,
    "EmbeddingStartEvent": _embedding_started,
    "SparseEmbeddingStartEvent": _embedding_started,
    "EmbeddingEndEvent": _embedding_ended,
    "RetrievalStartEvent": _retrieval_started,
    "RetrievalEndEvent": _retrieved,
    "QueryStartEvent": _queried,
}
