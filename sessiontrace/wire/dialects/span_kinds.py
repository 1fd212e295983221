"""What kind of step a span says it is, by any convention, as metadata of its event.

Pure functions, no thread owns them. Invariant: an event that is exported again is of the kind that
its span had.
"""

from __future__ import annotations

from sessiontrace.wire.received_span import Attributes
from sessiontrace.wire.semconv import CHAIN_KINDS, OPERATIONS

__all__ = ["stated_kind", "stated_operation"]

_DEFAULTS = {"model": "chat", "tool": "execute_tool"}
"""The operation of an event of a type that states none."""

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
    """The metadata that say what the type of the event does not: an operation, a kind of chain."""
    metadata = {}
    operation = stated_operation(attributes)
    if OPERATIONS.get(operation) == event_type and operation != _DEFAULTS.get(event_type):
        metadata["operation"] = operation
    if event_type == "chain" and (kind := _kind(attributes).lower()) in CHAIN_KINDS:
        metadata["span_kind"] = kind
    return metadata


def _kind(attributes: Attributes) -> str:
    for name in ("openinference.span.kind", "traceloop.span.kind"):
        kind = attributes.get(name)
        if isinstance(kind, str) and kind:
            return kind.upper()
    return ""
