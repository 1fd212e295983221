"""google-genai: generateContent and embedContent, whole and streamed, at its API client.

Runs in the thread or task of the call. Invariant: the usage in a stream is cumulative, so the last
one counts.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import orjson

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import tool_call, without_none

_ROLES = {"model": "assistant"}


class GoogleGenAi:
    """The instrumentor of google-genai."""

    def __init__(self) -> None:
        self._methods = ModelMethods("gcp.gemini")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the four request methods of the API client."""
        self._methods.start(calls)
        client: Any = module.BaseApiClient
        adapter = MethodAdapter(_read_call, _read_result, _GeminiAssembler)
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
        history = [_message(content) for content in body.get("contents") or ()]
        system = body.get("systemInstruction")
        if system:
            history.insert(0, {**_message(system), "role": "system"})
        extra_config = {"hyperparameters": body.get("generationConfig"), "tools": body.get("tools")}
        return ModelCallArgs(
            "chat", model, {"chat_history": history}, {**config, **without_none(extra_config)}
        )
    if verb in ("embedContent", "batchEmbedContents"):
        content_input = body.get("content") or body.get("requests")
        return ModelCallArgs("embeddings", model, {"input": content_input}, config)
    return None


def _message(content: Any) -> dict[str, Any]:
    fields = _content_fields(content.get("parts") or ())
    role = content.get("role") or "user"
    return {"role": _ROLES.get(role, role), **fields}


def _content_fields(parts: Any) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Any] = []
    others: list[Any] = []
    for part in parts:
        if "text" in part:
            (thoughts if part.get("thought") else texts).append(part["text"])
        elif "functionCall" in part:
            call = part["functionCall"]
            calls.append(tool_call(call.get("id"), call.get("name"), call.get("args")))
        else:
            others.append(part)
    content: Any = "".join(texts) if texts else None
    if others:
        content = list(parts)
    fields: dict[str, Any] = {"content": content}
    if calls:
        fields["tool_calls"] = calls
    if thoughts:
        fields["reasoning"] = "".join(thoughts)
    return fields


def _read_result(result: Any) -> Answer:
    assembler = _GeminiAssembler()
    assembler.add(result)
    return assembler.answer()


class _GeminiAssembler:
    """An answer from its responses: one response, or the chunks of a stream."""

    __slots__ = ("_last", "_parts", "_reason", "_role", "_usage")

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._usage: dict[str, Any] = {}
        self._reason: Any = None
        self._role = "assistant"
        self._last: dict[str, Any] = {}

    def add(self, chunk: Any) -> None:
        """Keep one response, whose body is JSON text."""
        body = orjson.loads(chunk.body) if chunk.body else {}
        self._last = body
        self._usage = body.get("usageMetadata") or self._usage
        for candidate in (body.get("candidates") or ())[:1]:
            self._parts.extend((candidate.get("content") or {}).get("parts") or ())
            self._reason = candidate.get("finishReason") or self._reason

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        usage = self._usage
        metadata = {
            "prompt_tokens": usage.get("promptTokenCount"),
            "completion_tokens": usage.get("candidatesTokenCount"),
            "total_tokens": usage.get("totalTokenCount"),
            "cache_read_tokens": usage.get("cachedContentTokenCount"),
            "reasoning_tokens": usage.get("thoughtsTokenCount"),
            "finish_reason": self._reason,
            "response_id": self._last.get("responseId"),
            "response_model": self._last.get("modelVersion"),
        }
        vectors = self._last.get("embeddings")
        if vectors is None and "embedding" in self._last:
            vectors = [self._last["embedding"]]
        if vectors is not None:
            size = len(vectors[0].get("values") or ()) if vectors else None
            fields = without_none({"embeddings": len(vectors), "dimensions": size})
            return Answer(fields, without_none(metadata))
        return Answer({"role": self._role, **_content_fields(self._parts)}, without_none(metadata))
