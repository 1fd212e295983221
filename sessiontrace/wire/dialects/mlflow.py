"""MLflow's tracing, whose attributes begin with ``mlflow.`` and hold JSON.

Pure functions over a draft, no thread owns them. Source: ``mlflow.tracing.constant``.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import offer_inputs, offer_outputs, offer_usage
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import whole_json

__all__ = ["MLFLOW"]

_KINDS = {
    "LLM": "LLM",
    "CHAT_MODEL": "LLM",
    "EMBEDDING": "EMBEDDING",
    "RERANKER": "RERANKER",
    "TOOL": "TOOL",
    "RETRIEVER": "RETRIEVER",
    "AGENT": "AGENT",
    "GUARDRAIL": "GUARDRAIL",
    "EVALUATOR": "EVALUATOR",
}
_NAMES = {
    "mlflow.llm.model": "gen_ai.request.model",
    "mlflow.llm.provider": "gen_ai.provider.name",
    "mlflow.chat.tools": "gen_ai.tool.definitions",
    "mlflow.trace.session": "session.id",
    "mlflow.trace.user": "user.id",
    "mlflow.trace.name": "session.name",
    "mlflow.traceName": "session.name",
}
_TAGS = {
    "mlflow.trace.session": "session.id",
    "mlflow.trace.user": "user.id",
    "session_id": "session.id",
    "user_id": "user.id",
    "mlflow.traceName": "session.name",
}
_CONVENTIONAL = ("gen_ai.", "input.", "output.", "mlflow.")
_COSTS = {
    "total_cost": "gen_ai.usage.cost",
    "input_cost": "llm.cost.prompt",
    "output_cost": "llm.cost.completion",
}


def _translate(draft: Draft) -> None:
    kind = _decoded(draft, "mlflow.spanType")
    if isinstance(kind, str) and draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", _KINDS.get(kind.upper(), "CHAIN"))
    for name in _NAMES:
        if name in draft.attributes:
            draft.attributes[name] = whole_json(draft.attributes[name])
    draft.rename(_NAMES)
    if draft.get("openinference.span.kind") == "TOOL":
        draft.offer("tool.name", whole_json(draft.take("mlflow.spanFunctionName")))
    offer_usage(draft, draft.take("mlflow.chat.tokenUsage"))
    costs = _decoded(draft, "mlflow.llm.cost")
    if isinstance(costs, dict):
        for name, conventional in _COSTS.items():
            draft.offer(conventional, costs.get(name))
    inputs = _decoded(draft, "mlflow.spanInputs")
    _drop_copies(draft, inputs)
    offer_inputs(draft, inputs)
    offer_outputs(draft, draft.take("mlflow.spanOutputs"))
    for name in ("mlflow.spanFunctionName", "mlflow.traceRequestId", "mlflow.message.format"):
        if (value := _decoded(draft, name)) is not None:
            draft.attributes[name] = value
    _decode_own(draft)
    tags = {k: whole_json(v) for k, v in draft.take_below("mlflow.traceTag.").items()}
    for name, conventional in _TAGS.items():
        if name in tags and draft.offer(conventional, tags[name]):
            del tags[name]
    draft.offer_metadata(tags)


def _decode_own(draft: Draft) -> None:
    """Decode the attributes that the user's program set, each of which MLflow writes as JSON."""
    for name, value in [*draft.attributes.items()]:
        is_own = not name.startswith(_CONVENTIONAL)
        if is_own and isinstance(value, str) and value.startswith(('"', "[", "{")):
            draft.attributes[name] = whole_json(value)


def _drop_copies(draft: Draft, inputs: Any) -> None:
    """Drop the attributes that repeat a parameter of the request."""
    for name, value in inputs.items() if isinstance(inputs, dict) else ():
        if name in draft.attributes and whole_json(draft.get(name)) == value:
            draft.take(name)


def _decoded(draft: Draft, name: str) -> Any:
    return whole_json(draft.take(name))


MLFLOW = Dialect(frozenset({"mlflow"}), _translate)
