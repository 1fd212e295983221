"""Gemini's generateContent and embedContent: messages, answers and the chunks of a stream.

Pure functions, on the thread of the call. Invariant: a chunk is an answer of its own, so that a
whole answer and a stream of one chunk are the same. Usage is cumulative: the last one counts.
"""

from __future__ import annotations

import re
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    count_of,
    get_field,
    in_order,
    joined,
    merge_delta,
    merge_snapshot,
    other_fields,
    tool_call,
    without_none,
)

_ROLES = {"model": "assistant"}
_TEXT_FIELDS = frozenset({"text", "thought", "thoughtSignature"})
_PART_FIELDS = frozenset({"text", "thought", "functionCall"})
_CANDIDATE_FIELDS = frozenset({"content", "finishReason", "index", "logprobsResult"})
_CONTENT_FIELDS = frozenset({"parts", "role"})
_RESPONSE_FIELDS = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"}
    | {"embedding", "embeddings", "sdkHttpResponse"}
)


def gemini_message(content: Any) -> dict[str, Any]:
    """One message of a request."""
    parts = content.get("parts") or ()
    fields = _content_fields(parts)
    if fields.pop("parts", None):  # such as images: in their places between the texts
        fields["content"] = list(parts)
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
            (thoughts if part.get("thought") else texts).append(part["text"] or "")
        elif "functionCall" in part:
            call = part["functionCall"]
            extra = other_fields(part, _PART_FIELDS)  # a thought's signature
            fields = [get_field(call, name) for name in ("id", "name", "args")]
            calls.append({**tool_call(*fields), **extra})
        else:
            others.append(part)
    message: dict[str, Any] = {"content": joined(texts) or None}
    optional = {
        "tool_calls": calls,
        "reasoning": joined(thoughts),
        "reasoning_signatures": signatures,
        "parts": others,
    }
    message.update({name: value for name, value in optional.items() if value})
    return message


class GeminiAssembler:
    """An answer from its responses: one response, or the chunks of a stream."""

    __slots__ = ("_candidates", "_fields", "_id", "_model", "_streamed", "_usage", "_vectors")

    def __init__(self, *, streamed: bool = True) -> None:
        self._candidates: dict[int, _Candidate] = {}
        self._fields: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._id: Any = None
        self._model: Any = None
        self._vectors: Any = None
        self._streamed = streamed

    def add(self, body: Any) -> None:
        """Keep one response, decoded."""
        usage = body.get("usageMetadata")
        self._usage = usage if usage and isinstance(usage, dict) else self._usage
        self._id = body.get("responseId") or self._id
        self._model = body.get("modelVersion") or self._model
        if "embedding" in body:
            self._vectors = [body["embedding"]]
        self._vectors = body.get("embeddings", self._vectors)
        for place, candidate in enumerate(body.get("candidates") or ()):
            index = candidate.get("index", place)
            self._candidates.setdefault(index, _Candidate()).add(candidate)
        merge_snapshot(self._fields, other_fields(body, _RESPONSE_FIELDS))

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        candidates = in_order(self._candidates)
        reasons = [candidate.reason for candidate in candidates]
        blocked = (self._fields.get("promptFeedback") or {}).get("blockReason")
        cut = self._streamed and not blocked and not (reasons and all(reasons))
        reasons = [reason for reason in reasons if reason] or [blocked]
        metadata = without_none(
            {
                **_counts(self._usage),
                "finish_reason": reasons[0] if len(set(map(str, reasons))) == 1 else reasons,
                "response_id": self._id,
                "response_model": self._model,
                "service_tier": _tier(self._usage),
            }
        )
        if (vectors := self._vectors) is not None:
            size = len(vectors[0].get("values") or ()) if vectors else None
            fields = without_none({"embeddings": len(vectors), "dimensions": size})
            return Answer(fields, metadata)
        if cut:
            metadata["stream_end"] = "cut"
        messages = [candidate.message() for candidate in candidates or [_Candidate()]]
        outputs = messages[0] if len(messages) == 1 else {"choices": messages}
        return Answer({**outputs, **self._fields}, metadata)


class _Candidate:
    """One candidate of an answer."""

    __slots__ = ("_fields", "_logprobs", "_parts", "reason")

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._fields: dict[str, Any] = {}
        self._logprobs: list[Any] = []
        self.reason: Any = None

    def add(self, candidate: dict[str, Any]) -> None:
        content = candidate.get("content") or {}
        for part in content.get("parts") or ():
            self._add_part(part)
        self.reason = candidate.get("finishReason") or self.reason
        if logprobs := candidate.get("logprobsResult"):
            self._logprobs.append(logprobs)
        merge_snapshot(self._fields, other_fields(content, _CONTENT_FIELDS))
        merge_snapshot(self._fields, other_fields(candidate, _CANDIDATE_FIELDS))

    def _add_part(self, part: dict[str, Any]) -> None:
        """Texts in a row are one text, and a function call may come in pieces."""
        last = self._parts[-1] if self._parts else {}
        if _continues(last, part):
            text = {"text": joined([last["text"] or "", part["text"] or ""])}
            self._parts[-1] = {**last, **part, **text}
        elif (sound := _joined_sound(last, part)) is not None:
            self._parts[-1] = sound
        elif last.get("functionCall", {}).get("willContinue") and "functionCall" in part:
            self._parts[-1] = {**last, "functionCall": _joined(last["functionCall"], part)}
        elif "partialArgs" in part.get("functionCall", ()):
            self._parts.append({**part, "functionCall": _joined({}, part)})
        else:
            self._parts.append(part)

    def message(self) -> dict[str, Any]:
        fields = {**_content_fields(self._parts), **self._fields}
        if self._logprobs:
            single = len(self._logprobs) == 1
            fields["logprobs"] = self._logprobs[0] if single else self._logprobs
        return {"role": "assistant", **fields}


def _continues(last: dict[str, Any], part: dict[str, Any]) -> bool:
    return (
        "text" in last
        and "text" in part
        and last.get("thought") == part.get("thought")
        and "thoughtSignature" not in last
        and part.keys() <= _TEXT_FIELDS
        and last.keys() <= _TEXT_FIELDS
    )


def _joined_sound(last: dict[str, Any], part: dict[str, Any]) -> dict[str, Any] | None:
    """Two pieces of one sound; images that follow each other are several."""
    before, piece = last.get("inlineData") or {}, part.get("inlineData") or {}
    kind = str(before.get("mimeType") or "")
    if not kind.startswith("audio/") or piece.get("mimeType") != kind:
        return None
    merge_delta(sound := {"data": before.get("data")}, {"data": piece.get("data")})
    return {**last, **part, "inlineData": {**before, **piece, **sound}}


# Vertex streams the arguments of a function call by their JSON paths:
# docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[['\"](.*?)['\"]\]")


def _joined(call: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A function call with the arguments that a further part of it has."""
    new = part["functionCall"]
    arguments: Any = call.get("args") or {}
    for partial in new.get("partialArgs") or ():
        value = next((partial[name] for name in _VALUES if name in partial), None)
        value = None if "nullValue" in partial else value
        arguments = _with_value(arguments, _steps(partial.get("jsonPath") or ""), value)
    whole = {**call, **new, "args": {**arguments, **(new.get("args") or {})}}
    whole["willContinue"] = new.get("willContinue", False)
    whole.pop("partialArgs", None)
    return whole


def _steps(path: str) -> list[Any]:
    return [int(index) if index else name or quoted for name, index, quoted in _STEP.findall(path)]


def _with_value(container: Any, steps: list[Any], value: Any) -> Any:
    """The container with a value at a path; a text continues the text that is there."""
    if not steps:
        joins = isinstance(container, str) and isinstance(value, str)
        return container + value if joins else value
    step, *further = steps
    if isinstance(step, int):
        elements = list(container) if isinstance(container, list) else []
        if step >= len(elements):  # they come in their order
            elements.append(None)
            step = len(elements) - 1
        elements[step] = _with_value(elements[step], further, value)
        return elements
    fields = dict(container) if isinstance(container, dict) else {}
    fields[step] = _with_value(fields.get(step), further, value)
    return fields


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Token counts; Gemini counts thoughts and the results of tools beside answer and prompt."""
    thoughts, tools = usage.get("thoughtsTokenCount"), usage.get("toolUsePromptTokenCount")
    return {
        "prompt_tokens": _sum(usage.get("promptTokenCount"), tools),
        "completion_tokens": _sum(usage.get("candidatesTokenCount"), thoughts),
        "total_tokens": usage.get("totalTokenCount"),
        "cache_read_tokens": usage.get("cachedContentTokenCount"),
        "reasoning_tokens": thoughts,
        "prompt_audio_tokens": _of_modality(usage, "prompt", "AUDIO"),
        "prompt_image_tokens": _of_modality(usage, "prompt", "IMAGE"),
        "completion_audio_tokens": _of_modality(usage, "candidates", "AUDIO"),
        "completion_image_tokens": _of_modality(usage, "candidates", "IMAGE"),
    }


def _of_modality(usage: dict[str, Any], side: str, modality: str) -> int | None:
    """The tokens of sound or images, which have a price of their own; None without any."""
    counts = [
        entry.get("tokenCount") or 0
        for entry in usage.get(f"{side}TokensDetails") or ()
        if isinstance(entry, dict) and entry.get("modality") == modality
    ]
    return sum(counts) or None


_TRAFFIC = {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}


def _tier(usage: dict[str, Any]) -> str | None:
    """The service tier, by Gemini's name for it or by Vertex's."""
    tier = usage.get("serviceTier") or _TRAFFIC.get(usage.get("trafficType") or "")
    return str(tier).lower() if tier else None


def _sum(*counts: int | None) -> int | None:
    present = [count_of(count) for count in counts if count_of(count) is not None]
    return sum(present) if present else None
