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
from sessiontrace.instrumentation.core.response_fields import other_fields, tool_call, without_none

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
    signatures: list[Any] = []
    for part in parts:
        if "text" in part:
            if signature := part.get("thoughtSignature"):
                signatures.append(signature)
            (thoughts if part.get("thought") else texts).append(part["text"])
        elif "functionCall" in part:
            call = part["functionCall"]
            extra = other_fields(part, _PART_FIELDS)  # a thought's signature
            calls.append({**tool_call(call.get("id"), call.get("name"), call.get("args")), **extra})
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
    if signatures:
        fields["reasoning_signatures"] = signatures
    return fields


_PART_FIELDS = frozenset({"text", "thought", "functionCall"})


def _read_result(result: Any) -> Answer:
    assembler = _GeminiAssembler()
    assembler.add(result)
    return assembler.answer()


_CANDIDATE_FIELDS = frozenset({"content", "finishReason", "index"})
_CONTENT_FIELDS = frozenset({"parts", "role"})
_RESPONSE_FIELDS = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"}
    | {"embedding", "embeddings", "sdkHttpResponse"}
)


class _GeminiAssembler:
    """An answer from its responses: one response, or the chunks of a stream."""

    __slots__ = ("_candidates", "_fields", "_id", "_model", "_usage", "_vectors")

    def __init__(self) -> None:
        self._candidates: dict[int, _Candidate] = {}
        self._fields: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._id: Any = None
        self._model: Any = None
        self._vectors: Any = None

    def add(self, chunk: Any) -> None:
        """Keep one response, whose body is JSON text."""
        body = orjson.loads(chunk.body) if chunk.body else {}
        self._usage = body.get("usageMetadata") or self._usage
        self._id = body.get("responseId") or self._id
        self._model = body.get("modelVersion") or self._model
        if "embedding" in body:
            self._vectors = [body["embedding"]]
        self._vectors = body.get("embeddings", self._vectors)
        for place, candidate in enumerate(body.get("candidates") or ()):
            index = candidate.get("index", place)
            self._candidates.setdefault(index, _Candidate()).add(candidate)
        self._fields.update(other_fields(body, _RESPONSE_FIELDS))

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        candidates = [candidate for _, candidate in sorted(self._candidates.items())]
        reasons = [candidate.reason for candidate in candidates if candidate.reason]
        metadata = without_none(
            {
                **_counts(self._usage),
                "finish_reason": reasons[0] if len(set(reasons)) == 1 else reasons or None,
                "response_id": self._id,
                "response_model": self._model,
            }
        )
        if (vectors := self._vectors) is not None:
            size = len(vectors[0].get("values") or ()) if vectors else None
            fields = without_none({"embeddings": len(vectors), "dimensions": size})
            return Answer(fields, metadata)
        messages = [candidate.message() for candidate in candidates or [_Candidate()]]
        outputs = messages[0] if len(messages) == 1 else {"choices": messages}
        return Answer({**outputs, **self._fields}, metadata)


class _Candidate:
    """One candidate of an answer."""

    __slots__ = ("fields", "parts", "reason")

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.reason: Any = None
        self.fields: dict[str, Any] = {}

    def add(self, candidate: dict[str, Any]) -> None:
        content = candidate.get("content") or {}
        self.parts.extend(content.get("parts") or ())
        self.reason = candidate.get("finishReason") or self.reason
        self.fields.update(other_fields(content, _CONTENT_FIELDS))
        self.fields.update(other_fields(candidate, _CANDIDATE_FIELDS))

    def message(self) -> dict[str, Any]:
        return {"role": "assistant", **_content_fields(self.parts), **self.fields}


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Token counts; Gemini counts thoughts and the results of tools beside answer and prompt."""
    thoughts, tools = usage.get("thoughtsTokenCount"), usage.get("toolUsePromptTokenCount")
    return {
        "prompt_tokens": _sum(usage.get("promptTokenCount"), tools),
        "completion_tokens": _sum(usage.get("candidatesTokenCount"), thoughts),
        "total_tokens": usage.get("totalTokenCount"),
        "cache_read_tokens": usage.get("cachedContentTokenCount"),
        "reasoning_tokens": thoughts,
    }


def _sum(*counts: int | None) -> int | None:
    present = [count for count in counts if count is not None]
    return sum(present) if present else None
