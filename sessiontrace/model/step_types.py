"""The types of steps, in one table: what each is, and what it is called where there are fewer.

Pure values, no thread owns them. Every place that checks a type, offers types or turns a type into
a vendor's reads this table. Invariant: the base of a type is one of ``BASES`` and its own base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "BASES",
    "CALL_TYPES",
    "SESSION",
    "SPAN_TYPES",
    "STEP_TYPES",
    "StepType",
    "base_of",
    "base_type",
    "refined",
    "step_type",
    "type_of_call",
]


class StepType(NamedTuple):
    """A type of step.

    ``base``: the nearest of chain, model and tool, for whatever has only these. ``operation``: its
    ``gen_ai.operation.name`` where the record states none. ``openinference``: its
    ``openinference.span.kind``. ``summary``: completes "The function ...".
    """

    name: str
    base: str
    operation: str | None
    openinference: str
    summary: str


STEP_TYPES: dict[str, StepType] = {
    row.name: row
    for row in (
        StepType("chain", "chain", None, "CHAIN", "groups other steps"),
        StepType("model", "model", "chat", "LLM", "calls a model"),
        StepType("tool", "tool", "execute_tool", "TOOL", "is a tool, or calls something outside"),
        StepType("agent", "chain", "invoke_agent", "AGENT", "is an agent: it decides what to do"),
        StepType("retriever", "tool", "retrieval", "RETRIEVER", "looks for documents"),
        StepType("embedding", "model", "embeddings", "EMBEDDING", "calls a model for vectors"),
        StepType("guardrail", "chain", None, "GUARDRAIL", "checks an input or an answer"),
        StepType("evaluator", "chain", None, "EVALUATOR", "judges an answer"),
    )
}
"""All types of steps by name, in the order in which users read them."""

SESSION = "session"
SPAN_TYPES = frozenset({*STEP_TYPES, SESSION})
"""All values of ``event_type``."""

BASES = ("model", "tool", "chain")
CALL_TYPES = frozenset(name for name, row in STEP_TYPES.items() if row.base == "model")
"""Types of steps that call a model, with tokens and a cost."""

_BASES = {name: row.base for name, row in STEP_TYPES.items()}
_OPERATIONS = {"embedding": "embedding", "embeddings": "embedding"}


def base_type(event_type: Any) -> Any:
    """The nearest of chain, model and tool; any other value as it is."""
    return _BASES.get(event_type, event_type) if isinstance(event_type, str) else event_type


def base_of(event: Mapping[str, Any]) -> Any:
    """``base_type`` of an event's type, None where it has none."""
    return base_type(event.get("event_type"))


def step_type(value: Any) -> str | None:
    """The value where it is the name of a type of steps; else None."""
    return value if isinstance(value, str) and value in STEP_TYPES else None


def refined(event_type: str, kind: Any) -> str:
    """The type that ``kind`` names, in any case, where its base is ``event_type``; else that."""
    name = step_type(kind.lower()) if isinstance(kind, str) else None
    return name if name is not None and _BASES[name] == event_type else event_type


def type_of_call(operation: Any) -> str:
    """The type of a call to a model, from its ``config.type``."""
    return _OPERATIONS.get(operation, "model") if isinstance(operation, str) else "model"
