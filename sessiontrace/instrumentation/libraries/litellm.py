"""litellm: its functions that call a model; the provider's SDK below contributes to the one event.

``Router`` and the proxy call the same functions. Runs in the thread or task of the call. Invariant:
every call is recorded, whichever module has imported the function's name, and once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import orjson

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import require_one
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import get_field, other_fields
from sessiontrace.instrumentation.core.stream_observer import StreamAssembler, StreamObserver
from sessiontrace.instrumentation.core.stream_proxy import watch_object
from sessiontrace.instrumentation.openai_family.anthropic_messages import MessageAssembler
from sessiontrace.instrumentation.openai_family.endpoints import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    MODERATION,
    RERANK,
    RESPONSES,
    SPEECH,
    TRANSCRIPTION,
    Endpoint,
)
from sessiontrace.instrumentation.openai_family.responses_format import ResponseAssembler


class Function(NamedTuple):
    """A function of litellm: how its calls are read, and the names of its first parameters."""

    endpoint: Endpoint
    parameters: tuple[str, ...]


_SYNC_FUNCTIONS = {
    "completion": Function(CHAT_COMPLETIONS, ("model", "messages")),
    "text_completion": Function(COMPLETIONS, ("prompt", "model")),
    "embedding": Function(EMBEDDINGS, ("model", "input")),
    "responses": Function(RESPONSES, ("input", "model")),
    "rerank": Function(RERANK, ("model", "query", "documents")),
    "moderation": Function(MODERATION, ("input", "model")),
    "image_generation": Function(IMAGES, ("prompt", "model")),
    "speech": Function(SPEECH, ("model", "input", "voice")),
    "transcription": Function(TRANSCRIPTION, ("model", "file")),
}
FUNCTIONS = {
    **_SYNC_FUNCTIONS,
    **{f"a{name}": function for name, function in _SYNC_FUNCTIONS.items()},
    "anthropic_messages": Function(MESSAGES, ("max_tokens", "messages", "model")),
}


class LiteLlm:
    """The instrumentor of litellm's functions."""

    def __init__(self) -> None:
        self._methods = ModelMethods("litellm")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the functions in every module that has them, those of the program included."""
        require_one(module, *FUNCTIONS)
        self._methods.start(calls)
        for name, function in FUNCTIONS.items():
            if name in module.__dict__:
                adapter = _adapter(name, function)
                for owner in list(_owners(module, name)):
                    self._methods.patch(owner, name, adapter)

    def uninstall(self) -> None:
        """Put the functions back."""
        self._methods.stop()


ENTRY = Entry(name="litellm", target="litellm", make=LiteLlm)


def _owners(module: ModuleType, name: str) -> Iterator[ModuleType]:
    """The modules in which ``name`` is the function that ``module`` exports, or the one below it.

    A program that ran ``from litellm import completion`` before has it under that name.
    """
    functions = [module.__dict__[name]]
    main = sys.modules.get("litellm.main")
    if main is not None and name in main.__dict__:
        functions.append(main.__dict__[name])
    for owner in list(sys.modules.values()):
        value = getattr(owner, "__dict__", {}).get(name)
        if value is not None and any(value is function for function in functions):
            yield owner


def _adapter(name: str, function: Function) -> MethodAdapter:
    endpoint = function.endpoint
    assembler: Callable[[], Any] | None = endpoint.assembler
    if endpoint is RESPONSES:
        assembler = _ResponseAssembler
    elif endpoint is MESSAGES:
        assembler = _MessageAssembler

    def read_call(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs | None:
        if kwargs.get(f"a{name}") or kwargs.get("acompletion"):  # the async form calls this one
            return None
        return _read_call(
            endpoint, {**dict(zip(function.parameters, args, strict=False)), **kwargs}
        )

    def read_result(result: Any) -> Answer:
        answer = endpoint.answer(result)
        if _is_cached(result):
            return Answer(answer.outputs, _uncounted(answer.metadata))
        return answer

    return MethodAdapter(read_call, read_result, assembler, _observe)


def _read_call(endpoint: Endpoint, arguments: Mapping[str, Any]) -> ModelCallArgs:
    inputs, hyperparameters = endpoint.request(arguments)
    if endpoint in (IMAGES, SPEECH, TRANSCRIPTION, RERANK, MODERATION):
        hyperparameters = {  # the rest is litellm's: keys, clients, routing
            name: value for name, value in hyperparameters.items() if name in _HYPERPARAMETERS
        }
    model = str(arguments.get("model"))
    provider, slash, _ = model.partition("/")
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    if arguments.get("custom_llm_provider") or slash:
        config["provider"] = arguments.get("custom_llm_provider") or provider
    if isinstance(arguments.get("tools"), list):
        config["tools"] = arguments["tools"]
    return ModelCallArgs(endpoint.operation, model, inputs, config)


_HYPERPARAMETERS = frozenset(
    {"n", "size", "quality", "style", "voice", "speed", "language", "temperature", "top_n"}
    | {"response_format", "timestamp_granularities", "max_chunks_per_doc", "rank_fields"}
)


def _is_cached(result: Any) -> bool:
    """Whether litellm's own cache has answered: nothing was used, so nothing is counted."""
    hidden = getattr(result, "_hidden_params", None)
    return isinstance(hidden, Mapping) and bool(hidden.get("cache_hit"))


def _uncounted(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a cached answer."""
    counts = {name: value for name, value in metadata.items() if not name.endswith("_tokens")}
    return {**counts, "cached": True}


class _Uncounted:
    """The assembler of a cached answer."""

    __slots__ = ("_assembler",)

    def __init__(self, assembler: StreamAssembler) -> None:
        self._assembler = assembler

    def add(self, chunk: Any) -> None:
        """Keep one chunk."""
        self._assembler.add(chunk)

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        outputs, metadata = self._assembler.answer()
        return Answer(outputs, _uncounted(metadata))


def _observe(result: Any, observer: StreamObserver) -> bool:
    if not {"__next__", "__anext__"}.intersection(dir(type(result))):
        return False
    if observer.assembler is not None and _is_cached(result):
        observer.assembler = _Uncounted(observer.assembler)
    watch_object(result, observer)
    return True


class _ResponseAssembler(ResponseAssembler):
    """A response from litellm's events, whose types are members of an Enum."""

    __slots__ = ()

    def add(self, event: Any) -> None:
        """Keep one event."""
        kind = get_field(event, "type")
        fields = other_fields(event, frozenset())
        super().add({**fields, "type": getattr(kind, "value", kind)})


class _MessageAssembler(MessageAssembler):
    """A message from the lines of server-sent events that ``anthropic_messages`` yields."""

    __slots__ = ()

    def add(self, event: Any) -> None:
        """Keep the events of one piece."""
        if isinstance(event, str):
            event = event.encode()
        if not isinstance(event, bytes):
            super().add(event)
            return
        for line in event.splitlines():
            if line.startswith(b"data:"):
                super().add(orjson.loads(line[5:]))
