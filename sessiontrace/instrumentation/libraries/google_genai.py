"""google-genai: content, embeddings and images, whole and streamed, at its API client.

Runs in the thread or task of the call. Invariant: the client's generators stay generators.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import orjson

from sessiontrace.instrumentation.cloud_formats.gemini import GeminiAssembler, gemini_message
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
    read_answer,
)
from sessiontrace.instrumentation.core.response_fields import without_none


class GoogleGenAi:
    """The instrumentor of google-genai."""

    def __init__(self) -> None:
        self._methods = ModelMethods("gcp.gemini")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the four request methods of the API client."""
        self._methods.start(calls)
        client: Any = module.BaseApiClient
        adapter = MethodAdapter(_read_call, _read_result, _ChunkAssembler)
        for name in ("request", "async_request", "request_streamed", "async_request_streamed"):
            self._methods.patch(client, name, adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._methods.stop()


ENTRY = Entry(name="google-genai", target="google.genai._api_client", make=GoogleGenAi)


def _read_call(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs | None:
    path = str(args[1] if len(args) > 1 else kwargs["path"])
    body = args[2] if len(args) > 2 else kwargs["request_dict"]
    where, _, verb = path.partition("?")[0].rpartition(":")
    model = where.rpartition("/")[2]
    config = {"provider": "gcp.vertex_ai"} if getattr(client, "vertexai", False) else {}
    if verb in ("generateContent", "streamGenerateContent"):
        history = [gemini_message(content) for content in body.get("contents") or ()]
        system = body.get("systemInstruction")
        if system:
            history.insert(0, {**gemini_message(system), "role": "system"})
        extra_config = {"hyperparameters": body.get("generationConfig"), "tools": body.get("tools")}
        return ModelCallArgs(
            "chat", model, {"chat_history": history}, {**config, **without_none(extra_config)}
        )
    if verb in ("embedContent", "batchEmbedContents"):
        content_input = body.get("content") or body.get("requests")
        return ModelCallArgs("embeddings", model, {"input": content_input}, config)
    return _read_prediction(model, body, config) if verb == "predict" else None


def _read_prediction(model: str, body: Any, config: dict[str, Any]) -> ModelCallArgs:
    """A call of ``predict``: it makes images of prompts, and vectors of contents."""
    instances = body.get("instances") or []
    if any("prompt" in instance or "image" in instance for instance in instances):
        inputs = dict(instances[0]) if len(instances) == 1 else {"instances": instances}
        extra_config = without_none({"hyperparameters": body.get("parameters")})
        return ModelCallArgs("images", model, inputs, {**config, **extra_config})
    contents = [instance.get("content") for instance in instances]
    return ModelCallArgs("embeddings", model, {"input": contents}, config)


def _read_result(result: Any) -> Answer:
    try:
        body = _decoded(result.body)
    except orjson.JSONDecodeError:
        body = result.body
    return read_answer(_read_body, body)


def _read_body(body: Any) -> Answer:
    if "predictions" in body:
        return _read_predictions(body["predictions"] or [])
    assembler = GeminiAssembler(streamed=False)
    assembler.add(body)
    return assembler.answer()


def _decoded(body: Any) -> Any:
    return orjson.loads(body) if body else {}


def _read_predictions(predictions: list[Any]) -> Answer:
    """Images, which the encoder reduces to digest and size; of vectors the number and length."""
    vectors = [prediction.get("embeddings") for prediction in predictions]
    if not vectors or vectors[0] is None:
        return Answer({"images": predictions}, {})
    counts = [(vector.get("statistics") or {}).get("token_count") for vector in vectors]
    present = [int(count) for count in counts if count is not None]
    tokens = sum(present) if len(present) == len(counts) else None
    outputs = {"embeddings": len(vectors), "dimensions": len(vectors[0].get("values") or ())}
    return Answer(outputs, without_none({"prompt_tokens": tokens, "total_tokens": tokens}))


class _ChunkAssembler(GeminiAssembler):
    """An answer from responses whose bodies are JSON text."""

    __slots__ = ()

    def add(self, body: Any) -> None:
        """Keep one response."""
        super().add(_decoded(body.body))
