"""Bedrock's InvokeModel: bodies and their streams, each in the form of the model's maker.

Pure functions, on the thread of the call. Bedrock adds its own counts: to a whole answer as
headers, to the last chunk of a stream as ``amazon-bedrock-invocationMetrics``. They are used where
the maker gives none. The makers' forms:
docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from sessiontrace.instrumentation.cloud_formats.converse import (
    ConverseAssembler,
    converse_answer,
    converse_request,
)
from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    count_of,
    other_fields,
    pick,
    without_none,
)
from sessiontrace.instrumentation.core.stream_observer import StreamAssembler
from sessiontrace.instrumentation.openai_family.anthropic_messages import (
    MessageAssembler,
    message_answer,
    message_request,
)
from sessiontrace.instrumentation.openai_family.chat_format import (
    ChatAssembler,
    chat_answer,
)
from sessiontrace.instrumentation.openai_family.text_completions import TextAssembler, text_answer

_METRICS = "amazon-bedrock-invocationMetrics"
_HEADERS = {
    "inputTokenCount": "x-amzn-bedrock-input-token-count",
    "outputTokenCount": "x-amzn-bedrock-output-token-count",
    "cacheReadInputTokenCount": "x-amzn-bedrock-cache-read-input-token-count",
    "cacheWriteInputTokenCount": "x-amzn-bedrock-cache-write-input-token-count",
}


def invoke_request(body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and config of a request's body, which is JSON text."""
    decoded = orjson.loads(body) if isinstance(body, (str, bytes, bytearray)) else {}
    if not isinstance(decoded, dict):
        return {"input": decoded}, {}
    if "inferenceConfig" in decoded or "toolConfig" in decoded:
        return converse_request(decoded)
    if "messages" in decoded:
        inputs, parameters = message_request(decoded)
        return inputs, {"hyperparameters": parameters, **pick(decoded, frozenset({"tools"}))}
    return {"input": decoded}, {}


def metrics_of_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Bedrock's counts from the headers of a response."""
    values = {name: str(headers.get(header)) for name, header in _HEADERS.items()}
    return {name: int(value) for name, value in values.items() if value.isdigit()}


def _counts(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts by Bedrock; ``prompt_tokens`` includes the cache, which it counts beside."""
    prompt = count_of(metrics.get("inputTokenCount"))
    completion = count_of(metrics.get("outputTokenCount"))
    read = count_of(metrics.get("cacheReadInputTokenCount"))
    written = count_of(metrics.get("cacheWriteInputTokenCount"))
    if prompt is not None:
        prompt += (read or 0) + (written or 0)
    total = prompt + completion if prompt is not None and completion is not None else None
    return without_none(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "cache_read_tokens": read or None,
            "cache_write_tokens": written or None,
        }
    )


def invoke_answer(body: Any, metrics: Mapping[str, Any]) -> Answer:
    """Outputs and metadata of a whole body; one of an unknown form is recorded as it is."""
    outputs, metadata = _read(body)
    if "prompt_tokens" not in metadata:
        metadata = {**metadata, **_counts(metrics)}
    return Answer(outputs, metadata)


def _read(body: Any) -> Answer:
    if not isinstance(body, dict):
        return Answer(body, {})
    if body.get("type") == "message" or isinstance(body.get("content"), list):
        return message_answer(body)
    if isinstance(body.get("choices"), list):
        return (text_answer if _is_text(body) else chat_answer)(body)
    if isinstance(body.get("output"), dict) and "message" in body["output"]:
        return converse_answer(body)
    if "embedding" in body or isinstance(body.get("embeddings"), list):
        return _vectors(body)
    if (text := _text_of(body)) is not None:
        return text
    return Answer(body, {})


def _is_text(body: Any) -> bool:
    return any("text" in choice for choice in body["choices"])


def _vectors(body: dict[str, Any]) -> Answer:
    vectors = [body["embedding"]] if "embedding" in body else body["embeddings"]
    size = len(vectors[0]) if vectors and isinstance(vectors[0], list) else None
    count = body.get("inputTextTokenCount")
    counts = without_none({"prompt_tokens": count, "total_tokens": count})
    return Answer(without_none({"embeddings": len(vectors), "dimensions": size}), counts)


# The forms of text models: where the text is, and why it ended.
_TEXTS = (
    ("generation", "stop_reason"),  # Meta
    ("outputText", "completionReason"),  # Amazon's Titan
    ("text", "stop_reason"),  # Mistral
    ("text", "finish_reason"),  # Cohere
)
_LISTS = ("outputs", "results", "generations", "completions")
_TEXT_COUNTS = {
    "prompt_tokens": ("prompt_token_count", "inputTextTokenCount"),
    "completion_tokens": ("generation_token_count", "tokenCount"),
}
_TEXT_FIELDS = frozenset(
    {"generation", "outputText", "text", "stop_reason", "completionReason", "finish_reason"}
    | {"generation_id", "response_id", "id", "index", "is_finished", "event_type", _METRICS}
    | {name for names in _TEXT_COUNTS.values() for name in names}
    | {*_LISTS}
)


def _text_of(body: dict[str, Any]) -> Answer | None:
    """The answer of a text model; None for a body of another form."""
    lists = [body[name] for name in _LISTS if isinstance(body.get(name), list)]
    entries = lists[0] if lists else [body]
    messages = []
    metadata: dict[str, Any] = {}
    for entry in entries:
        names = next((names for names in _TEXTS if names[0] in entry and names[1] in entry), None)
        if names is None:
            return None
        messages.append(
            {
                "role": "assistant",
                "content": entry[names[0]] or None,
                **other_fields(entry, _TEXT_FIELDS),
            }
        )
        metadata["finish_reason"] = entry[names[1]]
        for ours, theirs in _TEXT_COUNTS.items():
            for source in (body, entry):
                for name in theirs:
                    if source.get(name) is not None:
                        metadata[ours] = source[name]
    if len(metadata.keys() & _TEXT_COUNTS.keys()) == 2:
        metadata["total_tokens"] = metadata["prompt_tokens"] + metadata["completion_tokens"]
    outputs = messages[0] if len(messages) == 1 else {"choices": messages}
    if lists:
        outputs = {**outputs, **other_fields(body, _TEXT_FIELDS)}
    return Answer(outputs, without_none(metadata))


class InvokeAssembler:
    """The chunks of a streamed body, in the form of the model's maker."""

    __slots__ = ("_inner", "_metrics")

    def __init__(self) -> None:
        self._inner: StreamAssembler | None = None
        self._metrics: dict[str, Any] = {}

    def add(self, event: Any) -> None:
        """Keep one event of the stream, whose bytes are the body of a chunk."""
        content = (event.get("chunk") or {}).get("bytes")
        body = orjson.loads(content) if content else event
        if isinstance(metrics := body.get(_METRICS), dict):
            self._metrics = metrics
            body = {name: value for name, value in body.items() if name != _METRICS}
        if self._inner is None:
            self._inner = _assembler_for(body)
        self._inner.add(body)

    def answer(self) -> Answer:
        """The answer as far as it has come."""
        if self._inner is None:
            return Answer({"role": "assistant", "content": None}, {"stream_end": "cut"})
        outputs, metadata = self._inner.answer()
        counts = _counts(self._metrics)
        if "prompt_tokens" not in metadata or "completion_tokens" not in metadata:
            metadata = {**metadata, **counts}
        return Answer(outputs, metadata)


def _assembler_for(body: dict[str, Any]) -> StreamAssembler:
    """By the first chunk: Anthropic's has a type, Amazon's has its kind as the only key."""
    if "type" in body:
        return MessageAssembler()
    if isinstance(choices := body.get("choices"), list):
        return TextAssembler() if choices and _is_text(body) else ChatAssembler()
    if any(name.startswith(("message", "contentBlock")) for name in body):
        return ConverseAssembler()
    return _TextAssembler()


class _TextAssembler:
    """The text of a text model from its chunks; each has the form of a whole body."""

    __slots__ = ("_body", "_texts", "_unread")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._body: dict[str, Any] = {}
        self._unread: list[Any] = []

    def add(self, body: dict[str, Any]) -> None:
        """Keep one chunk."""
        lists = [body[name] for name in _LISTS if isinstance(body.get(name), list)]
        entry = {**body, **(lists[0][0] if lists and lists[0] else {})}
        name = next((names[0] for names in _TEXTS if isinstance(entry.get(names[0]), str)), None)
        if name is None:
            if (kind := body.keys() - _TEXT_FIELDS) or not body:
                self._unread.extend([body] if kind else [])
        else:
            self._texts.append(entry[name])
        self._body.update(without_none({key: entry[key] for key in entry if key not in _LISTS}))

    def answer(self) -> Answer:
        """The text as far as it has come."""
        reasons = [self._body[reason] for _, reason in _TEXTS if self._body.get(reason)]
        outputs: dict[str, Any] = {"role": "assistant", "content": "".join(self._texts) or None}
        if self._unread:
            outputs["blocks"] = self._unread
        else:
            outputs.update(other_fields(self._body, _TEXT_FIELDS))
        metadata: dict[str, Any] = {"finish_reason": reasons[0] if reasons else None}
        for ours, theirs in _TEXT_COUNTS.items():
            metadata[ours] = next((self._body[name] for name in theirs if name in self._body), None)
        if not reasons:
            metadata["stream_end"] = "cut"
        if metadata["prompt_tokens"] is not None and metadata["completion_tokens"] is not None:
            metadata["total_tokens"] = metadata["prompt_tokens"] + metadata["completion_tokens"]
        return Answer(outputs, without_none(metadata))
