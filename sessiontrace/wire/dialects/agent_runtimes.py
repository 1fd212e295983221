"""Runtimes of agents with names of their own: Genkit, LiveKit Agents, Pipecat and Mastra.

Pure functions over a draft, no thread owns them. Sources: Genkit's ``core/tracing``, LiveKit's
``telemetry/trace_types.py`` and Pipecat's ``utils/tracing/service_attributes.py``.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import offer_inputs, offer_outputs, offer_parameters
from sessiontrace.wire.dialects.chat_shapes import messages_of
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["GENKIT", "LIVEKIT", "MASTRA", "PIPECAT"]


# -- Genkit ---------------------------------------------------------------------------------


_GENKIT_KINDS = {
    "model": "LLM",
    "background-model": "LLM",
    "tool": "TOOL",
    "embedder": "EMBEDDING",
    "retriever": "RETRIEVER",
    "reranker": "RERANKER",
    "agent": "AGENT",
}


def _translate_genkit(draft: Draft) -> None:
    subtype = draft.take("genkit:metadata:subtype")
    kind = _GENKIT_KINDS.get(subtype, "CHAIN") if isinstance(subtype, str) else "CHAIN"
    if draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", kind)
    name = draft.take("genkit:name")
    if isinstance(name, str) and name:
        draft.span.name = name
        if kind == "TOOL":
            draft.offer("tool.name", name)
        elif kind == "LLM":
            draft.offer("gen_ai.request.model", name)
    inputs = whole_json(draft.take("genkit:input"))
    if isinstance(inputs, dict) and kind == "LLM":
        config = inputs.pop("config", None)
        offer_parameters(draft, config if isinstance(config, dict) else {})
    offer_inputs(draft, inputs)
    offer_outputs(draft, draft.take("genkit:output"))
    draft.rename({"genkit:sessionId": "session.id"})


GENKIT = Dialect(frozenset({"genkit:name", "genkit:type", "genkit:input"}), _translate_genkit)


# -- LiveKit --------------------------------------------------------------------------------


_LIVEKIT = {
    "gen_ai.usage.input_cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "lk.function_tool.name": "gen_ai.tool.name",
    "lk.function_tool.id": "gen_ai.tool.call.id",
    "lk.function_tool.arguments": "gen_ai.tool.call.arguments",
    "lk.function_tool.args": "gen_ai.tool.call.arguments",
    "lk.function_tool.output": "gen_ai.tool.call.result",
    "lk.agent_name": "gen_ai.agent.name",
    "lk.user_input": "input.value",
    "lk.user_transcript": "input.value",
}


def _translate_livekit(draft: Draft) -> None:
    """Since version 1.8, names of what people said have ``pii`` in them."""
    for name, value in draft.take_below("lk.pii.").items():
        draft.attributes.setdefault(f"lk.{name}", value)
    if any(name.startswith("lk.function_tool.") for name in draft.attributes):
        draft.offer("gen_ai.operation.name", "execute_tool")
        if draft.take("lk.function_tool.is_error") is True:
            draft.span.failed = True
    elif draft.get("gen_ai.request.model") is not None:
        draft.offer("gen_ai.operation.name", "chat")
    else:
        draft.offer("openinference.span.kind", "CHAIN")
    draft.rename(_LIVEKIT)
    context = json_value(draft.take("lk.chat_ctx"))
    items = context.get("items") if isinstance(context, dict) else context
    offer_inputs(draft, items, chat_of_step=True)
    calls = json_value(draft.take("lk.response.function_calls"))
    answer: dict[str, Any] = {"role": "assistant", "content": draft.take("lk.response.text")}
    if isinstance(calls, list) and calls:
        answer["tool_calls"] = calls
    if answer["content"] is not None or "tool_calls" in answer:
        offer_outputs(draft, [answer] if draft.is_model else answer)


LIVEKIT = Dialect(frozenset({"lk"}), _translate_livekit)


# -- Pipecat --------------------------------------------------------------------------------


def _translate_pipecat(draft: Draft) -> None:
    """Offer the input and output of a model's span, which have no other attribute for them."""
    is_plain = "input" in draft.attributes or "output" in draft.attributes
    if not is_plain or draft.get("gen_ai.request.model") is None:
        return
    draft.offer("gen_ai.operation.name", "chat")
    offer_inputs(draft, draft.take("input"))
    offer_outputs(draft, draft.take("output"))
    offer_parameters(draft, {"tools": json_value(draft.take("tools"))})


PIPECAT = Dialect(frozenset({"input", "output"}), _translate_pipecat)


# -- Mastra ---------------------------------------------------------------------------------

_OF_SESSION = {"sessionId": "session.id", "threadId": "session.id", "userId": "user.id",
               "resourceId": "user.id"}  # fmt: skip
_CALLS = frozenset({"model_generation", "model_step", "agent_run"})


def _translate_mastra(draft: Draft) -> None:
    """Mastra's exporter: what a span is given and returns has the name of the span's type."""
    entries = draft.take_below("mastra.metadata.")
    for name, conventional in _OF_SESSION.items():
        if name in entries and draft.offer(conventional, entries[name]):
            del entries[name]
    kind = draft.get("mastra.span.type")
    inputs, returned = (
        whole_json(draft.take(f"mastra.{kind}.{side}")) for side in ("input", "output")
    )
    if kind in _CALLS:
        question = [{"role": "user", "content": inputs}] if isinstance(inputs, str) else inputs
        offer_inputs(draft, question, chat_of_step=True)
        returned = _answer_of_mastra(draft, returned)
    else:
        offer_inputs(draft, inputs)
    if returned is not None:
        offer_outputs(draft, returned)
    draft.offer_metadata({"mastra": entries} if entries else {})


def _answer_of_mastra(draft: Draft, returned: Any) -> Any:
    """Offer the message in what a model or an agent returned; what else it returned comes back."""
    if not isinstance(returned, dict) or not isinstance(returned.get("text"), str):
        return returned
    message = {"role": "assistant", "content": returned["text"]}
    if calls := returned.get("toolCalls"):
        message["toolCalls"] = calls
    draft.offer("gen_ai.output.messages", messages_of(message, "assistant"))
    others = {k: v for k, v in returned.items() if v and k not in ("text", "toolCalls")}
    draft.offer_metadata({"returned": others} if others else {})
    return None


MASTRA = Dialect(frozenset({"mastra"}), _translate_mastra)
