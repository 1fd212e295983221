"""What a span is by its name, for frameworks that set the attributes after the start.

A pure function, where spans start. Invariant: only the spans of scopes whose names are known to
follow a scheme have a kind by name.
"""

from __future__ import annotations

from sessiontrace.wire.semconv import OPERATIONS

__all__ = ["kind_by_name"]

_SCOPES = ("strands.telemetry", "gcp.vertex.agent")
_MODELS = frozenset({"call_llm"})
"""Google ADK's span of a call, around the one that the conventions have."""


def kind_by_name(name: str, scope: str) -> str | None:
    """The event type of a span that starts; None where the scope says nothing by names."""
    if not scope.startswith(_SCOPES):
        return None
    operation = name.partition(" ")[0]
    return "model" if operation in _MODELS else OPERATIONS.get(operation, "chain")
