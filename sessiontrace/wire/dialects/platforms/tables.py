"""Names that need a table and little else: LangWatch, AgentOps, Laminar, Future AGI, VoltAgent.

Pure functions over a draft, no thread owns them. Sources: ``langwatch.attributes``,
``agentops.semconv``, ``lmnr.sdk.laminar``, ``fi_instrumentation.fi_types`` and ``@voltagent/core``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.wire.dialects.calls import offer_inputs, offer_outputs, offer_usage
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.dialects.openinference import OPENINFERENCE
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["AGENTOPS", "FUTURE_AGI", "LAMINAR", "LANGWATCH", "VOLTAGENT"]

_KINDS = {
    "llm": "LLM", "agent": "AGENT", "tool": "TOOL", "embedding": "EMBEDDING",
    "rag": "RETRIEVER", "retriever": "RETRIEVER", "guardrail": "GUARDRAIL",
    "evaluation": "EVALUATOR", "evaluator": "EVALUATOR",
}  # fmt: skip


@attrs.frozen
class _Table:
    """How a platform names things.

    ``kind``: its attribute of a step's kind. ``inputs``, ``outputs``: those of what went in and
    came out. ``names``: the conventional name for each of its others. ``metadata``: the beginning
    of those that are entries of the metadata.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    names: Mapping[str, str]
    metadata: str = ""


def _translate(table: _Table, draft: Draft) -> None:
    kind = str(draft.take(table.kind) or "").rpartition(".")[2].lower()
    if draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", _KINDS.get(kind, "CHAIN"))
    draft.rename(table.names)
    if table.metadata:
        draft.offer_metadata(draft.take_below(table.metadata))
    for name in table.inputs:
        value = _plain(draft.take(name))
        offer_inputs(draft, value, chat_of_step=isinstance(value, list))
    for name in table.outputs:
        offer_outputs(draft, _plain(draft.take(name)))


def _plain(value: Any) -> Any:
    """A value, which LangWatch has in an object beside its type."""
    decoded = whole_json(value)
    is_typed = isinstance(decoded, dict) and decoded.keys() == {"type", "value"}
    return decoded["value"] if is_typed else decoded


# -- LangWatch ------------------------------------------------------------------------------


_LANGWATCH = _Table(
    kind="langwatch.span.type",
    inputs=("langwatch.input",),
    outputs=("langwatch.output",),
    names={
        "langwatch.thread.id": "session.id",
        "langwatch.user.id": "user.id",
        "langwatch.labels": "tag.tags",
        "langwatch.tags": "tag.tags",
    },
)
_OF_TRACES = {"thread_id": "session.id", "user_id": "user.id", "labels": "tag.tags"}


def _translate_langwatch(draft: Draft) -> None:
    _translate(_LANGWATCH, draft)
    metadata = json_value(draft.get("metadata"))
    if isinstance(metadata, dict):
        left = {
            name: value
            for name, value in metadata.items()
            if name not in _OF_TRACES or not draft.offer(_OF_TRACES[name], value)
        }
        draft.attributes["metadata"] = left


LANGWATCH = Dialect(frozenset({"langwatch"}), _translate_langwatch)


# -- AgentOps -------------------------------------------------------------------------------


_PLACES = ("entity", "task", "tool", "agent", "workflow", "operation")
_AGENTOPS = _Table(
    kind="agentops.span.kind",
    inputs=tuple(f"agentops.{place}.input" for place in _PLACES),
    outputs=tuple(f"agentops.{place}.output" for place in _PLACES),
    names={
        "agentops.tags": "tag.tags",
        "tool.call.id": "gen_ai.tool.call.id",
    },
)


def _translate_agentops(draft: Draft) -> None:
    """A span's name is its operation's, with the kind that it is."""
    name, _, kind = draft.span.name.rpartition(".")
    if name and str(draft.get("agentops.span.kind")).lower() == kind:
        draft.span.name = name
    if draft.get("operation.name") == draft.span.name:
        draft.take("operation.name")
    _translate(_AGENTOPS, draft)


AGENTOPS = Dialect(frozenset({"agentops"}), _translate_agentops)


# -- Laminar --------------------------------------------------------------------------------


_PROPERTIES = "lmnr.association.properties."
_LAMINAR = _Table(
    kind="lmnr.span.type",
    inputs=("lmnr.span.input",),
    outputs=("lmnr.span.output",),
    names={
        f"{_PROPERTIES}session_id": "session.id",
        f"{_PROPERTIES}user_id": "user.id",
        f"{_PROPERTIES}tags": "tag.tags",
    },
    metadata=f"{_PROPERTIES}metadata.",
)


def _translate_laminar(draft: Draft) -> None:
    _translate(_LAMINAR, draft)
    if (place := draft.take("gen_ai.request.base_url")) is not None:
        draft.offer_metadata({"base_url": place})


LAMINAR = Dialect(frozenset({"lmnr"}), _translate_laminar)


# -- VoltAgent ------------------------------------------------------------------------------


_VOLTAGENT = _Table(
    kind="span.type",
    inputs=("llm.messages", "agent.messages", "input"),
    outputs=("output",),
    names={
        "llm.model": "gen_ai.request.model",
        "ai.model.name": "gen_ai.request.model",
        "llm.finish_reason": "gen_ai.response.finish_reasons",
        "llm.stream": "gen_ai.request.stream",
        "tool.call.id": "gen_ai.tool.call.id",
        "tool.parameters": "tool.json_schema",  # as Zod has it
    },
)


def _translate_voltagent(draft: Draft) -> None:
    """The span of an agent has no type, and names the agent as all below it do."""
    if "span.type" not in draft.attributes and draft.get("entity.type") == "agent":
        draft.attributes["span.type"] = "agent"
        draft.offer("gen_ai.agent.name", draft.get("entity.name"))
    for name in ("llm.messages.count", "llm.tools.count"):
        draft.take(name)
    if isinstance(tools := draft.take("llm.tools"), str):  # their names alone
        tools = [{"type": "function", "name": name.strip()} for name in tools.split(",")]
    draft.offer("gen_ai.tool.definitions", tools or None)
    for prefix in ("llm.usage.", "usage."):
        if left := offer_usage(draft, draft.take_below(prefix)):
            draft.offer_metadata({"usage": left})
    _translate(_VOLTAGENT, draft)


VOLTAGENT = Dialect(frozenset(), _translate_voltagent)


# -- Future AGI -----------------------------------------------------------------------------


_FUTURE_AGI = {
    "gen_ai.input.messages.": "llm.input_messages.",
    "gen_ai.output.messages.": "llm.output_messages.",
}


def _translate_future_agi(draft: Draft) -> None:
    """OpenInference's attributes, below names of OTel's."""
    for prefix, conventional in _FUTURE_AGI.items():
        for name, value in draft.take_below(prefix).items():
            draft.attributes[f"{conventional}{name}"] = value
    draft.take_below("gen_ai.tool.definitions.")  # a copy
    draft.rename(
        {
            "gen_ai.span.kind": "openinference.span.kind",
            "gen_ai.request.parameters": "llm.invocation_parameters",
            "gen_ai.request.model": "llm.model_name",
        }
    )
    OPENINFERENCE.translate(draft)


FUTURE_AGI = Dialect(frozenset(), _translate_future_agi)
