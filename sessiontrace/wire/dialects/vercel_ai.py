"""Vercel's AI SDK (npm ``ai``, versions 4 to 6), whose attributes begin with ``ai.``.

Pure functions over a draft, no thread owns them. A call of ``generateText`` is a step, each request
in it a model call (``.doGenerate``) and each tool a tool call. Source: its page "Telemetry".
"""

from __future__ import annotations

import base64
from typing import Any

from sessiontrace.wire.dialects.calls import offer_inputs, offer_parameters
from sessiontrace.wire.dialects.chat_shapes import messages_of
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["VERCEL_AI"]

_NAMES = {
    "ai.model.id": "gen_ai.request.model",
    "ai.settings.maxOutputTokens": "gen_ai.request.max_tokens",
    "ai.settings.maxTokens": "gen_ai.request.max_tokens",
    "ai.settings.temperature": "gen_ai.request.temperature",
    "ai.settings.topP": "gen_ai.request.top_p",
    "ai.settings.topK": "gen_ai.request.top_k",
    "ai.settings.frequencyPenalty": "gen_ai.request.frequency_penalty",
    "ai.settings.presencePenalty": "gen_ai.request.presence_penalty",
    "ai.settings.seed": "gen_ai.request.seed",
    "ai.settings.stopSequences": "gen_ai.request.stop_sequences",
    "ai.response.id": "gen_ai.response.id",
    "ai.response.model": "gen_ai.response.model",
    "ai.usage.inputTokens": "gen_ai.usage.input_tokens",
    "ai.usage.promptTokens": "gen_ai.usage.input_tokens",
    "ai.usage.tokens": "gen_ai.usage.input_tokens",
    "ai.usage.outputTokens": "gen_ai.usage.output_tokens",
    "ai.usage.completionTokens": "gen_ai.usage.output_tokens",
    "ai.usage.totalTokens": "gen_ai.usage.total_tokens",
    "ai.usage.cachedInputTokens": "gen_ai.usage.cache_read.input_tokens",
    "ai.usage.inputTokenDetails.cacheReadTokens": "gen_ai.usage.cache_read.input_tokens",
    "ai.usage.inputTokenDetails.cacheWriteTokens": "gen_ai.usage.cache_write.input_tokens",
    "ai.usage.reasoningTokens": "gen_ai.usage.reasoning.output_tokens",
    "ai.usage.outputTokenDetails.reasoningTokens": "gen_ai.usage.reasoning.output_tokens",
    "ai.toolCall.name": "gen_ai.tool.name",
    "ai.toolCall.id": "gen_ai.tool.call.id",
    "ai.toolCall.args": "gen_ai.tool.call.arguments",
    "ai.toolCall.result": "gen_ai.tool.call.result",
    "ai.telemetry.functionId": "gen_ai.agent.name",
}
_METADATA = {
    "sessionId": "session.id",
    "session_id": "session.id",
    "threadId": "session.id",
    "thread_id": "session.id",
    "chatId": "session.id",
    "conversationId": "session.id",
    "userId": "user.id",
    "user_id": "user.id",
    "tags": "tag.tags",
}
_API_SUFFIXES = (
    ".chat", ".responses", ".messages", ".completion", ".embedding", ".textEmbedding",
    ".generative-ai",
)  # fmt: skip
_REASONS = {"tool-calls": "tool_calls", "content-filter": "content_filter"}
_ENDS = {".doGenerate": "chat", ".doStream": "chat", ".doEmbed": "embeddings"}


def _translate(draft: Draft) -> None:
    _set_kind(draft)
    _translate_metadata(draft)
    for name in ("operation.name", "resource.name"):  # made of the two that have names here
        draft.take(name)
    for name in ("gen_ai.system", "ai.model.provider"):
        if isinstance(provider := draft.take(name), str):
            draft.offer("gen_ai.provider.name", _provider(provider))
    if (result := draft.get("ai.toolCall.result")) is not None:
        draft.attributes["ai.toolCall.result"] = whole_json(result)
    draft.rename(_NAMES)
    for name in ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"):
        if isinstance(first := draft.get(name), (int, float)):
            draft.offer("gen_ai.response.time_to_first_chunk", first / 1000)
            draft.take(name)
    _translate_inputs(draft)
    _translate_answer(draft)


def _set_kind(draft: Draft) -> None:
    operation = str(draft.take("ai.operationId") or draft.span.name)
    kind = next((kind for end, kind in _ENDS.items() if operation.endswith(end)), None)
    if operation == "ai.toolCall":
        kind = "execute_tool"
    if kind is not None:
        draft.offer("gen_ai.operation.name", kind)
    elif draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", "CHAIN")


def _provider(name: str) -> str:
    """The provider without the name of its API: "openai.chat" is "openai"."""
    suffix = next((end for end in _API_SUFFIXES if name.endswith(end)), "")
    return name[: len(name) - len(suffix)] if suffix != ".generative-ai" else name


def _translate_metadata(draft: Draft) -> None:
    entries = draft.take_below("ai.telemetry.metadata.")
    for name, conventional in _METADATA.items():
        if name in entries and draft.offer(conventional, entries[name]):
            del entries[name]
    draft.offer_metadata(entries)


def _translate_inputs(draft: Draft) -> None:
    tools = draft.take("ai.prompt.tools")
    if isinstance(tools, list):
        tools = [_tool(tool) for tool in tools]
    choice = whole_json(draft.take("ai.prompt.toolChoice"))
    offer_parameters(draft, {"tools": tools, "tool_choice": choice})
    for name in ("ai.prompt.messages", "ai.prompt"):
        if (prompt := draft.take(name)) is not None:
            offer_inputs(draft, _with_texts(whole_json(prompt)), chat_of_step=True)
    for name in ("ai.value", "ai.values"):
        if (value := draft.take(name)) is not None:
            values = [whole_json(item) for item in value] if isinstance(value, list) else value
            draft.offer("input.value", {"input": whole_json(values)})
    for name in ("ai.schema", "ai.schema.name", "ai.schema.description"):
        if (value := draft.take(name)) is not None:
            draft.offer_metadata({name.removeprefix("ai.").replace(".", "_"): json_value(value)})


def _with_texts(value: Any) -> Any:
    """A prompt with its bytes, which JSON has as lists of numbers, in base64."""
    if isinstance(value, list):
        return [_with_texts(item) for item in value]
    if not isinstance(value, dict):
        return value
    numbers = value.get("data") if value.get("type") == "Buffer" else None
    if numbers is None and "0" in value:  # of a Uint8Array
        numbers = [*value.values()]
    try:
        return (
            base64.b64encode(bytes(numbers)).decode()
            if isinstance(numbers, list)
            else {name: _with_texts(item) for name, item in value.items()}
        )
    except (TypeError, ValueError):
        return value


def _tool(tool: Any) -> Any:
    """A tool's definition, with its schema where the conventions have it."""
    definition = json_value(tool)
    if isinstance(definition, dict) and "inputSchema" in definition:
        definition = {**definition, "parameters": definition["inputSchema"]}
        del definition["inputSchema"]
    return definition


def _translate_answer(draft: Draft) -> None:
    for name in ("text", "object", "toolCalls"):  # the names of version 3
        draft.rename({f"ai.result.{name}": f"ai.response.{name}"})
    reason = draft.take("ai.response.finishReason") or draft.take("ai.finishReason")
    reasons = draft.get("gen_ai.response.finish_reasons")
    stated = reasons if isinstance(reasons, list) else [reason] if reason else []
    if stated:
        draft.attributes["gen_ai.response.finish_reasons"] = [
            _REASONS.get(item, item) if isinstance(item, str) else item for item in stated
        ]
    text = draft.take("ai.response.text") or draft.take("ai.response.object")
    calls = json_value(draft.take("ai.response.toolCalls"))
    thought = draft.take("ai.response.reasoning")
    if text is not None or calls or thought:
        (answer,) = messages_of({"role": "assistant", "content": text, "tool_calls": calls}, "")
        if thought:
            answer["reasoning"] = thought
        if draft.is_model:
            draft.offer("gen_ai.output.messages", [answer])
        else:
            draft.offer("output.value", answer if calls or thought else text)
    for name in ("ai.embedding", "ai.embeddings"):
        if (vectors := draft.take(name)) is not None:
            size = len(vectors) if isinstance(vectors, list) else 1
            draft.offer("output.value", {"embeddings": size if name.endswith("s") else 1})


VERCEL_AI = Dialect(frozenset({"ai"}), _translate)
