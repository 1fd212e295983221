"""mistralai: chat, agents, conversations, fim, embeddings, ocr, moderation and sound.

Its client makes each part when a program first uses it; the methods of a part are wrapped then.
Runs in the thread or task of the call. Invariant: the user's event stream stays the SDK's own.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.core.stream_observer import StreamObserver, observed
from sessiontrace.instrumentation.core.stream_proxy import watch_response
from sessiontrace.instrumentation.openai_family.chat_format import (
    ChatAssembler,
    chat_answer,
    chat_request,
)
from sessiontrace.instrumentation.openai_family.chat_usage import usage_of
from sessiontrace.instrumentation.openai_family.endpoints import EMBEDDINGS
from sessiontrace.instrumentation.openai_family.media_endpoints import (
    SoundAssembler,
    moderation_answer,
)
from sessiontrace.instrumentation.openai_family.mistral_conversations import (
    ConversationAssembler,
    conversation_answer,
)


class MistralAi:
    """The instrumentor of the parts of mistralai's client."""

    def __init__(self) -> None:
        self._methods = ModelMethods("mistral_ai")
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods of the parts that exist, and of others when the client makes them."""
        self._methods.start(calls)
        base: Any = module.BaseSDK
        for part in base.__subclasses__():
            self._wrap_part(part)
        self._patcher.patch(base, "__init__", self._wrap_init)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._patcher.restore()
        self._methods.stop()

    def _wrap_init(self, original: Any) -> Any:
        @functools.wraps(original)
        def initialize(part: Any, *args: Any, **kwargs: Any) -> None:
            self._wrap_part(type(part))
            original(part, *args, **kwargs)

        return initialize

    @never_raises(None)
    def _wrap_part(self, part: type) -> None:
        for name, adapter in _PARTS.get(part.__name__, {}).items():
            for method in (name, f"{name}_async"):
                if method in part.__dict__:
                    self._methods.patch(part, method, adapter)


ENTRY = Entry(name="mistralai", target="mistralai.client.basesdk", make=MistralAi)


def _config(kwargs: dict[str, Any], hyperparameters: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    if isinstance(kwargs.get("tools"), list):
        config["tools"] = kwargs["tools"]
    return {**config, **pick(kwargs, {"agent_id", "conversation_id"})}


def _read_chat(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    inputs, hyperparameters = chat_request(kwargs)
    model = kwargs.get("model") or kwargs.get("agent_id")
    return ModelCallArgs("chat", model, inputs, _config(kwargs, hyperparameters))


def _read_fim(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    inputs = pick(kwargs, {"prompt", "suffix"})
    config = _config(kwargs, chat_request(kwargs)[1])
    return ModelCallArgs("text_completion", kwargs.get("model"), inputs, config)


def _read_conversation(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    history = pick(kwargs, {"inputs"}).get("inputs") or []
    if isinstance(history, str):
        history = [{"role": "user", "content": history}]
    if instructions := pick(kwargs, {"instructions"}).get("instructions"):
        history = [{"role": "system", "content": instructions}, *history]
    names = ("model", "agent_id", "conversation_id")
    model = next((kwargs[name] for name in names if isinstance(kwargs.get(name), str)), None)
    hyperparameters = pick(kwargs, {"completion_args", "store", "handoff_execution"})
    return ModelCallArgs("chat", model, {"chat_history": history}, _config(kwargs, hyperparameters))


def _reader(operation: str, *names: str) -> Any:
    """Reads the calls of an operation whose inputs are the arguments ``names``."""

    def read(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
        inputs = pick(kwargs, frozenset(names))
        if "inputs" in inputs:
            inputs = {"input": inputs["inputs"]}
        return ModelCallArgs(operation, pick(kwargs, {"model"}).get("model"), inputs, {})

    return read


def _read_pages(result: Any) -> Answer:
    """The pages that were read; the encoder reduces their images to digest and size."""
    usage = get_field(result, "usage_info")
    metadata = {
        "response_model": get_field(result, "model"),
        "pages_processed": get_field(usage, "pages_processed"),
    }
    outputs = pick(result.__dict__, {"pages", "document_annotation"})
    return Answer(outputs, without_none(metadata))


def _read_transcript(result: Any) -> Answer:
    outputs = pick(result.__dict__, {"text", "language", "segments"})
    metadata = usage_of(get_field(result, "usage"))
    metadata["response_model"] = get_field(result, "model")
    return Answer(outputs, metadata)


def _read_speech(result: Any) -> Answer:
    assembler = _SpeechAssembler()
    assembler.add({"data": result})
    return assembler.answer()


class _SpeechAssembler(SoundAssembler):
    """Sound from events that wrap its pieces."""

    __slots__ = ()

    def add(self, piece: Any) -> None:
        """Keep the piece in one event."""
        data = get_field(piece, "data")
        super().add({"audio": get_field(data, "audio_data")})


class _MistralAssembler(ChatAssembler):
    """A chat completion from events that wrap its chunks."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """Keep the chunk in one event."""
        super().add(get_field(chunk, "data"))


class _TranscriptAssembler:
    """A transcription from the events of its stream."""

    __slots__ = ("_done", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._done: Any = None

    def add(self, event: Any) -> None:
        """Keep a piece of the text, or the last event, which has all of it."""
        data = get_field(event, "data")
        kind = get_field(data, "type")
        if kind == "transcription.text.delta":
            self._texts.append(get_field(data, "text") or "")
        elif kind == "transcription.done":
            self._done = data

    def answer(self) -> Answer:
        """The text as far as it has come."""
        if self._done is None:
            return Answer({"text": "".join(self._texts)}, {"stream_end": "cut"})
        return _read_transcript(self._done)


def _observe(result: Any, observer: StreamObserver) -> bool:
    attributes = getattr(result, "__dict__", {})
    if "generator" not in attributes or "response" not in attributes:
        return False
    result.generator = observed(result.generator, observer)
    watch_response(result.response, observer)
    return True


_CHAT = MethodAdapter(_read_chat, chat_answer, _MistralAssembler, _observe)
_FIM = MethodAdapter(_read_fim, chat_answer, _MistralAssembler, _observe)
_CONVERSATION = MethodAdapter(
    _read_conversation, conversation_answer, ConversationAssembler, _observe
)
_MODERATION = MethodAdapter(_reader("moderation", "inputs"), moderation_answer)
_CLASSIFICATION = MethodAdapter(_reader("classification", "inputs"), moderation_answer)
_TRANSCRIPTION = MethodAdapter(
    _reader("transcription", "file_url", "file_id"),
    _read_transcript,
    _TranscriptAssembler,
    _observe,
)
_TURNS = ("start", "append", "restart")
_PARTS: dict[str, dict[str, MethodAdapter]] = {
    "Chat": {"complete": _CHAT, "stream": _CHAT},
    "Agents": {"complete": _CHAT, "stream": _CHAT},
    "Fim": {"complete": _FIM, "stream": _FIM},
    "Conversations": {
        **dict.fromkeys(_TURNS, _CONVERSATION),
        **dict.fromkeys([f"{turn}_stream" for turn in _TURNS], _CONVERSATION),
    },
    "Embeddings": {"create": MethodAdapter(_reader("embeddings", "inputs"), EMBEDDINGS.answer)},
    "Ocr": {"process": MethodAdapter(_reader("ocr", "document", "pages"), _read_pages)},
    "Classifiers": {
        "moderate": _MODERATION,
        "moderate_chat": _MODERATION,
        "classify": _CLASSIFICATION,
        "classify_chat": _CLASSIFICATION,
    },
    "Transcriptions": {"complete": _TRANSCRIPTION, "stream": _TRANSCRIPTION},
    "Speech": {
        "complete": MethodAdapter(
            _reader("speech", "input"), _read_speech, _SpeechAssembler, _observe
        )
    },
}
"""The methods by class and name; each has an async form with ``_async`` after the name."""
