"""What kind of step a span says it is, by any convention, beside the type of its event.

Pure functions, no thread owns them. Invariant: an event that is exported again is of the kind that
its span had.
"""

from __future__ import annotations

from sessiontrace.model.step_types import STEP_TYPES
from sessiontrace.wire.received_span import Attributes
from sessiontrace.wire.semconv import OPERATIONS

__all__ = ["stated_kind", "stated_operation"]

_OPERATIONS_OF_KINDS = {
    "EMBEDDING": "embeddings",
    "RERANKER": "rerank",
    "RETRIEVER": "retrieval",
    "AGENT": "invoke_agent",
}
"""Kinds of OpenInference and Traceloop, as the operations that they are."""


def stated_operation(attributes: Attributes) -> str:
    """The operation that the span names, in any convention; "" for none."""
    operation = attributes.get("gen_ai.operation.name")
    if isinstance(operation, str) and operation:
        return operation
    return _OPERATIONS_OF_KINDS.get(_kind(attributes), "")


def stated_kind(attributes: Attributes, event_type: str) -> dict[str, str]:
    """The metadata that say what the type of the event does not: an operation."""
    operation = stated_operation(attributes)
    is_of_type = OPERATIONS.get(operation) == event_type
    is_usual = event_type in STEP_TYPES and operation == STEP_TYPES[event_type].operation
    return {"operation": operation} if is_of_type and not is_usual else {}


def _kind(attributes: Attributes) -> str:
    for name in ("openinference.span.kind", "traceloop.span.kind"):
        kind = attributes.get(name)
        if isinstance(kind, str) and kind:
            return kind.upper()
    return ""
