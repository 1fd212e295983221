"""cohere: chat, whole and streamed, embed and rerank of both its APIs.

Runs in the thread or task of the call. Invariant: a stream stays a generator, as the SDK makes it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.cloud_formats.cohere_v1 import (
    ChatV1Assembler,
    chat_v1_answer,
    chat_v1_request,
)
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import (
    count_of,
    get_field,
    in_order,
    joined,
    merge_delta,
    other_fields,
    pick,
    plain,
    require_object,
    tool_call,
    without_none,
)
from sessiontrace.instrumentation.openai_family.chat_format import chat_request


class Cohere:
    """The instrumentor of cohere's clients, of its second API and of its first."""

    def __init__(self) -> None:
        self._methods = ModelMethods("cohere")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods of both clients, sync and async, of the API in ``module``."""
        self._methods.start(calls)
        if hasattr(module, "V2Client"):
            chat = MethodAdapter(_read_call, cohere_answer, CohereAssembler)
            clients = [(module.V2Client,) * 2, (module.AsyncV2Client,) * 2]
        else:  # the first API; ``embed`` sends batches from threads of its own
            chat = MethodAdapter(_read_chat_v1, chat_v1_answer, ChatV1Assembler)
            clients = [
                (module.BaseCohere, module.Client),
                (module.AsyncBaseCohere, module.AsyncClient),
            ]
        for client, embedder in clients:
            self._methods.patch(client, "chat", chat)
            self._methods.patch(client, "chat_stream", chat)
            self._methods.patch(client, "rerank", MethodAdapter(_read_rerank, _read_ranks))
            self._methods.patch(embedder, "embed", MethodAdapter(_read_embed, _read_vectors))

    def uninstall(self) -> None:
        """Put the methods back."""
        self._methods.stop()


ENTRY = Entry(
    name="cohere",
    target="cohere.v2.client",
    make=Cohere,
    also=("cohere.client",),
)


def _read_chat_v1(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    inputs, hyperparameters = chat_v1_request(kwargs)
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    config.update(pick(kwargs, {"tools"}))
    return ModelCallArgs("chat", pick(kwargs, {"model"}).get("model"), inputs, config)


def _read_call(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    inputs, hyperparameters = chat_request(kwargs)
    for ours, theirs in (("top_p", "p"), ("top_k", "k"), ("stop", "stop_sequences")):
        if isinstance(kwargs.get(theirs), (int, float, list)):
            hyperparameters[ours] = kwargs[theirs]
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    if isinstance(kwargs.get("tools"), (list, tuple)):
        config["tools"] = kwargs["tools"]
    return ModelCallArgs("chat", kwargs.get("model"), inputs, config)


_MESSAGE_FIELDS = frozenset({"role", "content", "tool_calls", "tool_plan"})
_RESULT_FIELDS = frozenset({"id", "message", "usage", "finish_reason", "error", "response_type"})


def cohere_answer(result: Any) -> Answer:
    require_object(result)
    message = get_field(result, "message")
    calls = [_call(call) for call in get_field(message, "tool_calls") or ()]
    blocks = get_field(message, "content") or ()
    outputs = _outputs(blocks, calls, get_field(message, "tool_plan"))
    outputs.update(other_fields(message, _MESSAGE_FIELDS))
    outputs.update(other_fields(result, _RESULT_FIELDS))
    metadata = _metadata(get_field(result, "id"), result)
    return Answer(outputs, without_none(metadata))


def _metadata(response_id: Any, end: Any) -> dict[str, Any]:
    """Counts and the reason of the end, from a whole answer or from the last event of a stream."""
    metadata = _usage(get_field(end, "usage"))
    reason = metadata["finish_reason"] = _text_or_none(get_field(end, "finish_reason"))
    metadata["response_id"] = response_id
    if (error := get_field(end, "error")) or reason == "ERROR":
        metadata["response_error"] = str(error or "the answer ended with an error")
    return metadata


def _outputs(blocks: Any, calls: list[dict[str, Any]], plan: Any) -> dict[str, Any]:
    """A message from its blocks; those of an unknown type stay as they are."""
    texts: dict[str, list[str]] = {"text": [], "thinking": []}
    others = []
    for block in blocks:
        kind = str(get_field(block, "type") or "text")
        if kind in texts:
            texts[kind].append(get_field(block, kind) or "")
        else:
            others.append(plain(block))
    outputs: dict[str, Any] = {"role": "assistant", "content": joined(texts["text"]) or None}
    fields = {
        "tool_calls": calls,
        "reasoning": joined(texts["thinking"]),
        "tool_plan": plan,
        "blocks": others,
    }
    outputs.update({name: value for name, value in fields.items() if value})
    return outputs


def _call(call: Any) -> dict[str, Any]:
    function = get_field(call, "function")
    return tool_call(
        get_field(call, "id"), get_field(function, "name"), get_field(function, "arguments")
    )


def _text_or_none(value: Any) -> Any:
    return None if value is None else str(getattr(value, "value", value))


def _usage(usage: Any) -> dict[str, Any]:
    tokens = get_field(usage, "tokens") or get_field(usage, "billed_units")
    counts = [get_field(tokens, "input_tokens"), get_field(tokens, "output_tokens")]
    whole = [None if count_of(count) is None else int(count) for count in counts]
    total = None if None in whole else sum(count or 0 for count in whole)
    return {
        "prompt_tokens": whole[0],
        "completion_tokens": whole[1],
        "total_tokens": total,
        "cache_read_tokens": get_field(usage, "cached_tokens"),
    }


def _read_embed(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    model_input = kwargs.get("texts") or kwargs.get("inputs") or kwargs.get("images")
    return ModelCallArgs("embeddings", kwargs.get("model"), {"input": model_input}, {})


def _read_vectors(result: Any) -> Answer:
    """The number of vectors and their length, of the first kind that was chosen."""
    vectors: Any = get_field(result, "embeddings")
    if not isinstance(vectors, list):  # by kind
        vectors = next(iter(other_fields(vectors, frozenset()).values()), [])
    size = len(vectors[0]) if vectors and isinstance(vectors[0], list) else None
    fields = without_none({"embeddings": len(vectors), "dimensions": size})
    return Answer(fields, _billed(result))


def _read_rerank(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    inputs = {"query": kwargs.get("query"), "documents": kwargs.get("documents")}
    top = kwargs.get("top_n")
    config = {"hyperparameters": {"top_n": top}} if isinstance(top, int) else {}
    return ModelCallArgs("rerank", kwargs.get("model"), inputs, config)


def _read_ranks(result: Any) -> Answer:
    ranks = [
        {name: get_field(rank, name) for name in ("index", "relevance_score")}
        for rank in get_field(result, "results") or ()
    ]
    return Answer({"results": ranks}, _billed(result))


def _billed(result: Any) -> dict[str, Any]:
    """What Cohere bills: tokens, or searches."""
    billed = get_field(get_field(result, "meta"), "billed_units")
    tokens = get_field(billed, "input_tokens")
    return without_none(
        {
            "prompt_tokens": None if tokens is None else int(tokens),
            "total_tokens": None if tokens is None else int(tokens),
            "search_units": get_field(billed, "search_units"),
            "response_id": get_field(result, "id"),
        }
    )


class CohereAssembler:
    """A message from the events of its stream."""

    __slots__ = ("_blocks", "_calls", "_citations", "_end", "_id", "_logprobs", "_plan")

    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._calls: dict[int, list[Any]] = {}
        self._citations: list[Any] = []
        self._logprobs: list[Any] = []
        self._plan: list[str] = []
        self._end: Any = None
        self._id: Any = None

    def add(self, event: Any) -> None:
        """Keep one event."""
        kind = get_field(event, "type")
        delta = get_field(event, "delta")
        message = get_field(delta, "message")
        index = get_field(event, "index") or 0
        if kind in ("content-start", "content-delta"):
            content = get_field(message, "content")
            merge_delta(self._blocks.setdefault(index, {}), other_fields(content, frozenset()))
            if (logprobs := get_field(event, "logprobs")) is not None:
                self._logprobs.append(plain(logprobs))
        elif kind == "message-start":
            self._id = get_field(event, "id")
        elif kind == "message-end":
            self._end = delta
        elif kind == "tool-plan-delta":
            self._plan.append(get_field(message, "tool_plan") or "")
        elif kind == "citation-start":
            self._citations.append(plain(get_field(message, "citations")))
        elif kind in ("tool-call-start", "tool-call-delta"):
            call = get_field(message, "tool_calls")
            parts = self._calls.setdefault(index, [None, None, ""])
            function = get_field(call, "function")
            parts[0] = get_field(call, "id") or parts[0]
            parts[1] = get_field(function, "name") or parts[1]
            parts[2] += get_field(function, "arguments") or ""

    def answer(self) -> Answer:
        """The message as far as it has come."""
        calls = [tool_call(*parts) for parts in in_order(self._calls)]
        blocks = [_typed(block) for block in in_order(self._blocks)]
        outputs = _outputs(blocks, calls, joined(self._plan))
        if self._citations:
            outputs["citations"] = self._citations
        if self._logprobs:
            outputs["logprobs"] = self._logprobs
        metadata = _metadata(self._id, self._end)
        if self._end is None:
            metadata["stream_end"] = "cut"
        else:
            outputs.update(other_fields(self._end, _RESULT_FIELDS))
        return Answer(outputs, without_none(metadata))


def _typed(block: dict[str, Any]) -> dict[str, Any]:
    """A block whose start, which names its type, may not have been sent."""
    return block if "type" in block or "thinking" not in block else {"type": "thinking", **block}
