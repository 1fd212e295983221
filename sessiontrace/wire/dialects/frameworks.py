"""Frameworks with spans of their own whose names need a table and little else.

Pure functions over a draft, no thread owns them: Strands, Haystack, Semantic Kernel, Mistral's
client, and the functions that OpenLIT's decorator records.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import (
    arguments_of,
    offer_inputs,
    offer_outputs,
    offer_usage,
    python_value,
)
from sessiontrace.wire.dialects.chat_shapes import chat_of, text_of
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["CREWAI", "HAYSTACK", "MISTRAL", "OPENLIT", "SEMANTIC_KERNEL", "STRANDS"]


# -- Strands --------------------------------------------------------------------------------


def _translate_strands(draft: Draft) -> None:
    draft.rename({"tags": "tag.tags", "gen_ai.usage.cache_write_input_tokens":
                  "gen_ai.usage.cache_write.input_tokens"})  # fmt: skip
    first = draft.get("gen_ai.server.time_to_first_token")
    if isinstance(first, (int, float)) and draft.offer(
        "gen_ai.response.time_to_first_chunk", first / 1000
    ):
        draft.take("gen_ai.server.time_to_first_token")
    for name in ("gen_ai.event.start_time", "gen_ai.event.end_time"):  # the span's own
        draft.take(name)
    result = json_value(draft.get("gen_ai.tool.call.result"))
    if isinstance(result, list) and (text := text_of(result)) is not None:
        draft.attributes["gen_ai.tool.call.result"] = text


STRANDS = Dialect(frozenset({"gen_ai"}), _translate_strands)


# -- Haystack -------------------------------------------------------------------------------


_HAYSTACK_KINDS = (("Generator", "LLM"), ("Embedder", "EMBEDDING"), ("Retriever", "RETRIEVER"))
_HAYSTACK_INPUTS = (
    "haystack.component.input",
    "haystack.agent.input",
    "haystack.agent.step.llm.input",
    "haystack.agent.step.tool.input",
    "haystack.pipeline.input_data",
    "haystack.tool.input",
)
_HAYSTACK_OUTPUTS = (
    "haystack.component.output",
    "haystack.agent.output",
    "haystack.agent.step.llm.output",
    "haystack.agent.step.tool.output",
    "haystack.pipeline.output_data",
    "haystack.tool.output",
)


def _translate_haystack(draft: Draft) -> None:
    kind = str(draft.get("haystack.component.type") or "")
    stated = next((value for part, value in _HAYSTACK_KINDS if part in kind), None)
    if kind == "Agent" or draft.span.name == "haystack.agent.run":
        stated = "AGENT"
    if draft.span.name == "haystack.agent.step.tool" or "haystack.tool.name" in draft.attributes:
        stated = "TOOL"
    if draft.span.name == "haystack.agent.step.llm":
        stated = "LLM"
    if draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", stated or "CHAIN")
    draft.rename(
        {"haystack.tool.name": "tool.name", "haystack.tool.call.id": "gen_ai.tool.call.id"}
    )
    if isinstance(name := draft.get("haystack.component.name"), str) and name:
        draft.span.name = name
        draft.take("haystack.component.name")
    for name in _HAYSTACK_INPUTS:
        offer_inputs(draft, draft.take(name), chat_of_step=True)
    for name in _HAYSTACK_OUTPUTS:
        _offer_haystack_outputs(draft, whole_json(draft.take(name)))


def _offer_haystack_outputs(draft: Draft, value: Any) -> None:
    """Offer a generator's replies, with the usage in them, or any other component's outputs."""
    replies = value.get("replies") if isinstance(value, dict) else None
    if not (draft.is_model and isinstance(replies, list)):
        messages = chat_of(value.get("messages")) if isinstance(value, dict) else None
        offer_outputs(draft, value if messages is None else {**value, "messages": messages})
        return
    for reply in replies:
        meta = reply.pop("meta", None) if isinstance(reply, dict) else None
        if isinstance(meta, dict):
            offer_usage(draft, meta.get("usage"))
            draft.offer("gen_ai.request.model", meta.get("model"))
            draft.offer("gen_ai.response.finish_reasons", meta.get("finish_reason"))
    offer_outputs(draft, replies)


HAYSTACK = Dialect(frozenset({"haystack"}), _translate_haystack)


# -- Semantic Kernel ------------------------------------------------------------------------


def _translate_semantic_kernel(draft: Draft) -> None:
    reason = draft.get("gen_ai.response.finish_reason")
    if isinstance(reason, str):
        stated = reason.removeprefix("FinishReason.").lower()
        if draft.offer("gen_ai.response.finish_reasons", [stated]):
            draft.take("gen_ai.response.finish_reason")


SEMANTIC_KERNEL = Dialect(frozenset({"gen_ai"}), _translate_semantic_kernel)


# -- CrewAI by OpenLLMetry ------------------------------------------------------------------

_CREWAI = {
    "crewai.crew.name": "gen_ai.workflow.name",
    "crewai.crew.inputs": "input.value",
    "crewai.crew.result": "output.value",
    "crewai.task.description": "input.value",
}
_CREWAI_JSON = (
    "crewai.crew.tasks",
    "crewai.crew.agents",
    "crewai.task.tools",
    "crewai.agent.tools",
)


def _translate_crewai(draft: Draft) -> None:
    """A crew is a workflow and a task a step, which OpenLLMetry calls agents, too."""
    draft.rename(_CREWAI)
    if draft.get("traceloop.span.kind") == "task":
        draft.take("gen_ai.operation.name")
    elif "crewai.crew.id" in draft.attributes:
        draft.attributes["gen_ai.operation.name"] = "invoke_workflow"
    for name in _CREWAI_JSON:
        if name in draft.attributes:
            draft.attributes[name] = json_value(draft.get(name))
    if isinstance(usage := python_value(draft.get("crewai.crew.usage_metrics")), dict):
        draft.take("crewai.crew.token_usage")
        left = offer_usage(draft, usage)
        draft.attributes["crewai.crew.usage_metrics"] = left


CREWAI = Dialect(frozenset({"crewai"}), _translate_crewai)


# -- OpenLIT --------------------------------------------------------------------------------


def _translate_openlit(draft: Draft) -> None:
    """A decorated function's arguments, which are texts of Python, and what it returned."""
    draft.rename({"gen_ai.request.is_stream": "gen_ai.request.stream"})
    positional, keywords = (
        python_value(draft.get(name)) for name in ("function.args", "function.kwargs")
    )
    arguments = {"args": positional, "kwargs": keywords or {}}
    if isinstance(positional, list) and draft.offer("input.value", arguments_of(arguments)):
        draft.take("function.args")
        draft.take("function.kwargs")
    if draft.get("gen_ai.operation.name") is None and isinstance(
        draft.get("gen_ai.output.messages"), str
    ):
        draft.offer("output.value", draft.take("gen_ai.output.messages"))


OPENLIT = Dialect(frozenset(), _translate_openlit)


# -- Mistral's client -----------------------------------------------------------------------


_MISTRAL_OPERATIONS = (
    ("embeddings", "embeddings"),
    ("fim", "text_completion"),
    ("chat", "chat"),
    ("agents_completion", "chat"),
    ("stream_agents", "chat"),
    ("conversations_start", "chat"),
    ("conversations_append", "chat"),
    ("conversations_restart", "chat"),
    ("invoke_agent", "chat"),
)
"""Parts of the names of requests, as the operations that they are."""


def _translate_mistral(draft: Draft) -> None:
    """Offer the operation of a request, which its span is called after.

    A request to an agent or a conversation is one call of a model, with its counts of tokens. The
    client calls it an invocation of an agent; that would hold calls, and its counts are their sums.
    """
    if "http.request.method" not in draft.attributes:
        return
    name = str(draft.get("mistral_ai.operation.id") or draft.span.name)
    operation = next((what for part, what in _MISTRAL_OPERATIONS if part in name), None)
    if draft.get("gen_ai.operation.name") in (None, "invoke_agent") and operation is not None:
        draft.attributes["gen_ai.operation.name"] = operation
    draft.rename({"mistral_ai.request.total_tokens": "gen_ai.usage.total_tokens"})


MISTRAL = Dialect(frozenset({"mistral_ai"}), _translate_mistral)
