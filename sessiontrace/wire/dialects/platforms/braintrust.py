"""Braintrust's names on spans, ``braintrust.input`` and the like.

Pure functions over a draft, no thread owns them. Source: "OpenTelemetry" in Braintrust's documents.
Each name may end in ``_json``; the entries of an object may be attributes of their own.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import (
    offer_inputs,
    offer_outputs,
    offer_parameters,
    offer_usage,
)
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import whole_json

__all__ = ["BRAINTRUST"]

_OWN = "braintrust."
_KINDS = {"llm": "LLM", "tool": "TOOL", "function": "CHAIN", "task": "CHAIN", "score": "EVALUATOR"}
_SESSIONS = {"session_id": "session.id", "thread_id": "session.id", "user_id": "user.id"}


def _translate(draft: Draft) -> None:
    kind = _object(draft, "span_attributes").get("type")
    metadata, metrics = _object(draft, "metadata"), _object(draft, "metrics")
    if draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", _KINDS.get(str(kind), "CHAIN"))
    if draft.is_model and isinstance(metadata.get("model"), str):
        offer_parameters(draft, metadata)
        metadata = {}
    for name, conventional in _SESSIONS.items():
        if isinstance(value := metadata.get(name), str) and draft.offer(conventional, value):
            del metadata[name]
    draft.offer_metadata(metadata)
    draft.offer_metadata({"metrics": left} if (left := offer_usage(draft, metrics)) else {})
    for name, value in _object(draft, "scores").items():
        draft.offer(f"sessiontrace.metrics.{name}", value)
    offer_inputs(draft, _value(draft, "input"), chat_of_step=True)
    offer_outputs(draft, _value(draft, "output"))
    if (expected := _value(draft, "expected")) is not None:
        draft.offer("sessiontrace.feedback.ground_truth", expected)
    draft.rename({f"{_OWN}tags": "tag.tags"})


def _value(draft: Draft, name: str) -> Any:
    values = [draft.take(f"{_OWN}{name}{end}") for end in ("", "_json")]
    return next((whole_json(value) for value in values if value is not None), None)


def _object(draft: Draft, name: str) -> dict[str, Any]:
    """An object, also from attributes for each of its entries."""
    value = _value(draft, name)
    entries = {key: whole_json(entry) for key, entry in draft.take_below(f"{_OWN}{name}.").items()}
    return {**value, **entries} if isinstance(value, dict) else entries


BRAINTRUST = Dialect(frozenset({"braintrust"}), _translate)
