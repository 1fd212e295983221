"""Langfuse's SDKs (Python from 3, JavaScript from 4), whose attributes begin with ``langfuse.``.

Pure functions over a draft, no thread owns them. Spans of other libraries that pass through the
SDK have its attributes of the trace. Source: "OpenTelemetry" in Langfuse's documents.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sessiontrace.wire.dialects.calls import (
    offer_inputs,
    offer_outputs,
    offer_parameters,
    offer_usage,
)
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import whole_json

__all__ = ["LANGFUSE"]

_KINDS = {
    "generation": "LLM",
    "embedding": "EMBEDDING",
    "tool": "TOOL",
    "retriever": "RETRIEVER",
    "agent": "AGENT",
    "guardrail": "GUARDRAIL",
    "evaluator": "EVALUATOR",
    "chain": "CHAIN",
    "span": "CHAIN",
    "event": "CHAIN",
}
_NAMES = {
    "langfuse.session.id": "session.id",
    "langfuse.user.id": "user.id",
    "langfuse.trace.name": "session.name",
    "langfuse.trace.tags": "tag.tags",
    "langfuse.observation.model.name": "gen_ai.request.model",
    "langfuse.observation.prompt.name": "llm.prompt_template.name",
    "langfuse.observation.prompt.version": "llm.prompt_template.version",
    "langfuse.trace.input": "session.input",
    "langfuse.trace.output": "session.output",
}
_COSTS = {
    "total": "gen_ai.usage.cost",
    "input": "llm.cost.prompt",
    "output": "llm.cost.completion",
}
_DEFAULTS = ("", "Infinity", None)
"""Values that Langfuse's wrapper writes for parameters that the caller did not set."""


def _translate(draft: Draft) -> None:
    draft.take_below("langfuse.internal.")
    kind = draft.take("langfuse.observation.type")
    if isinstance(kind, str) and draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", _KINDS.get(kind.lower(), "CHAIN"))
    draft.rename(_NAMES)
    parameters = whole_json(draft.take("langfuse.observation.model.parameters"))
    if isinstance(parameters, dict):
        offer_parameters(draft, {k: v for k, v in parameters.items() if v not in _DEFAULTS})
    offer_inputs(draft, draft.take("langfuse.observation.input"))
    offer_outputs(draft, draft.take("langfuse.observation.output"))
    if left := offer_usage(draft, draft.take("langfuse.observation.usage_details")):
        draft.offer_metadata({"usage_details": left})
    _translate_cost(draft, whole_json(draft.take("langfuse.observation.cost_details")))
    _translate_first_chunk(draft)
    _translate_metadata(draft)
    if draft.get("langfuse.observation.level") == "ERROR":
        draft.span.failed = True
        message = draft.take("langfuse.observation.status_message")
        draft.span.message = draft.span.message or (message if isinstance(message, str) else "")


def _translate_cost(draft: Draft, costs: Any) -> None:
    if not isinstance(costs, dict):
        return
    parts = [value for name, value in costs.items() if name != "total" and _is_number(value)]
    if "total" not in costs and parts:
        costs = {**costs, "total": sum(parts)}
    left = {
        name: value
        for name, value in costs.items()
        if name not in _COSTS or not draft.offer(_COSTS[name], value)
    }
    draft.offer_metadata({"cost_details": left} if left else {})


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _translate_first_chunk(draft: Draft) -> None:
    moment = whole_json(draft.get("langfuse.observation.completion_start_time"))
    if not isinstance(moment, str):
        return
    try:
        at = datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return
    seconds = at - draft.span.start_ns / 1e9
    if seconds >= 0 and draft.offer("gen_ai.response.time_to_first_chunk", round(seconds, 6)):
        draft.take("langfuse.observation.completion_start_time")


def _translate_metadata(draft: Draft) -> None:
    entries: dict[str, Any] = {}
    for name in ("langfuse.trace.metadata", "langfuse.observation.metadata"):
        whole = whole_json(draft.take(name))
        if isinstance(whole, dict):
            entries.update(whole)
        elif whole is not None:
            entries["metadata"] = whole
        entries.update((k, whole_json(v)) for k, v in draft.take_below(f"{name}.").items())
    draft.offer_metadata(entries)


LANGFUSE = Dialect(frozenset({"langfuse"}), _translate)
