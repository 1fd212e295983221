"""huggingface_hub: the tasks of ``InferenceClient`` and its async form, whole and streamed.

Runs in the thread or task of the call. Invariant: a stream stays a generator, as the library makes
it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import require_one
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.openai_family.chat_format import (
    ChatAssembler,
    chat_answer,
    chat_request,
)
from sessiontrace.instrumentation.openai_family.media_endpoints import SoundAssembler


class HuggingFaceHub:
    """The instrumentor of huggingface_hub's two clients."""

    def __init__(self) -> None:
        self._methods = ModelMethods("huggingface")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the tasks of the client that ``module`` defines."""
        require_one(module, "InferenceClient", "AsyncInferenceClient")
        self._methods.start(calls)
        for name in ("InferenceClient", "AsyncInferenceClient"):
            client = module.__dict__.get(name)
            if client is not None and client.__module__ == module.__name__:
                for task, adapter in _TASKS.items():
                    if task in client.__dict__:
                        self._methods.patch(client, task, adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._methods.stop()


ENTRY = Entry(
    name="huggingface-hub",
    target="huggingface_hub.inference._client",
    make=HuggingFaceHub,
    also=("huggingface_hub.inference._generated._async_client",),
)


def _call(
    client: Any, operation: str, arguments: dict[str, Any], inputs: Any, hyperparameters: Any
) -> ModelCallArgs:
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    provider = getattr(client, "provider", None)
    if isinstance(provider, str) and provider not in ("auto", "hf-inference"):
        config["provider"] = provider
    if isinstance(arguments.get("tools"), list):
        config["tools"] = arguments["tools"]
    model = arguments.get("model") or getattr(client, "model", None)
    return ModelCallArgs(operation, model, inputs, config)


def _read_chat(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    arguments = {**dict(zip(("messages",), args, strict=False)), **kwargs}
    inputs, hyperparameters = chat_request(arguments)
    return _call(client, "chat", arguments, inputs, hyperparameters)


_GENERATION = frozenset(
    {"temperature", "top_p", "top_k", "max_new_tokens", "seed", "stop", "stream", "do_sample"}
    | {"repetition_penalty", "frequency_penalty", "best_of", "details", "return_full_text"}
)


def _task(operation: str, *names: str, hyperparameters: frozenset[str] = frozenset()) -> Any:
    """Reads the calls of a task whose inputs are its parameters ``names``, in their order."""

    def read(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        inputs = pick(arguments, frozenset(names))
        return _call(client, operation, arguments, inputs, pick(arguments, hyperparameters))

    return read


def _read_generated(result: Any) -> Answer:
    """The generated text, and its details where the program asked for them."""
    if isinstance(result, str):
        return Answer({"role": "assistant", "content": result}, {})
    details = get_field(result, "details")
    outputs = {"role": "assistant", "content": get_field(result, "generated_text")}
    return Answer(outputs, _details(details))


def _details(details: Any) -> dict[str, Any]:
    reason = get_field(details, "finish_reason")
    prefill = get_field(details, "prefill")
    prompt = len(prefill) if prefill else get_field(details, "input_length")
    completion = get_field(details, "generated_tokens")
    total = prompt + completion if prompt is not None and completion is not None else None
    metadata = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "finish_reason": None if reason is None else str(getattr(reason, "value", reason)),
    }
    return without_none(metadata)


class _TextAssembler:
    """A generated text from its pieces: texts, or tokens with details at the end."""

    __slots__ = ("_last", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._last: Any = None

    def add(self, chunk: Any) -> None:
        """Keep one piece; a special token, such as the end of the text, is none of it."""
        if isinstance(chunk, str):
            self._texts.append(chunk)
            return
        self._last = chunk
        token = get_field(chunk, "token")
        if not get_field(token, "special"):
            self._texts.append(get_field(token, "text") or "")

    def answer(self) -> Answer:
        """The text as far as it has come."""
        text = get_field(self._last, "generated_text") or "".join(self._texts)
        outputs = {"role": "assistant", "content": text or None}
        return Answer(outputs, _details(get_field(self._last, "details")))


def _read_vectors(result: Any) -> Answer:
    """The number of vectors and their length; the vectors themselves are left out."""
    shape: tuple[int, ...] = getattr(result, "shape", ())
    count = shape[0] if len(shape) > 1 else 1
    return Answer({"embeddings": count, "dimensions": shape[-1] if shape else None}, {})


def _read_sound(result: Any) -> Answer:
    assembler = SoundAssembler()
    assembler.add(result)
    return assembler.answer()


def _read_image(result: Any) -> Answer:
    names = ("format", "mode", "width", "height")
    image = without_none({name: getattr(result, name, None) for name in names})
    return Answer({"images": [image]}, {})


def _read_fields(result: Any) -> Answer:
    return Answer(dict(result) if isinstance(result, dict) else {"result": result}, {})


_IMAGE = frozenset({"width", "height", "num_inference_steps", "guidance_scale", "seed"})
_TASKS = {
    "chat_completion": MethodAdapter(_read_chat, chat_answer, ChatAssembler),
    "text_generation": MethodAdapter(
        _task("text_completion", "prompt", hyperparameters=_GENERATION),
        _read_generated,
        _TextAssembler,
    ),
    "feature_extraction": MethodAdapter(_task("embeddings", "text"), _read_vectors),
    "sentence_similarity": MethodAdapter(
        _task("similarity", "sentence", "other_sentences"), _read_fields
    ),
    "text_to_image": MethodAdapter(
        _task("images", "prompt", "negative_prompt", hyperparameters=_IMAGE), _read_image
    ),
    "image_to_image": MethodAdapter(_task("images", "image", "prompt"), _read_image),
    "image_to_text": MethodAdapter(_task("image_to_text", "image"), _read_fields),
    "text_to_speech": MethodAdapter(_task("speech", "text"), _read_sound),
    "automatic_speech_recognition": MethodAdapter(_task("transcription", "audio"), _read_fields),
    "summarization": MethodAdapter(_task("summarization", "text"), _read_fields),
    "translation": MethodAdapter(_task("translation", "text"), _read_fields),
    "text_classification": MethodAdapter(_task("classification", "text"), _read_fields),
    "token_classification": MethodAdapter(_task("classification", "text"), _read_fields),
    "zero_shot_classification": MethodAdapter(
        _task("classification", "text", "candidate_labels"), _read_fields
    ),
    "question_answering": MethodAdapter(
        _task("question_answering", "question", "context"), _read_fields
    ),
    "fill_mask": MethodAdapter(_task("fill_mask", "text"), _read_fields),
}
