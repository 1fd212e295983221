"""How the entries of metadata are written as attributes, by key, for ``event_span``.

Tables, made once. Invariant: what they say is what ``span_attributes.metadata_attributes`` gives.
"""

from __future__ import annotations

from sessiontrace.model.ids import PARENT_SPAN_ID, SPAN_ID, TRACE_ID
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.wire import semconv
from sessiontrace.wire.encoded.event_span import REASON, REFUSED, TRACE_KEY, Rule
from sessiontrace.wire.encoded.flat_metadata import FLAG, FLOAT, INT, TEXT
from sessiontrace.wire.protobuf import field
from sessiontrace.wire.span_attributes import (
    COST,
    FINISH_REASONS,
    METADATA_FIELDS,
    METADATA_NAMES,
)

__all__ = ["SHAPING", "rules_for"]

SHAPING = frozenset({"operation", "agent_name", "span_kind", "tags", "error"})
"""Metadata that says which kind of step it is; it stays in the shape."""

_KINDS = {str: TEXT, int: INT, float: FLOAT, bool: FLAG}


def _name(text: str) -> bytes:
    return field(b"\x0a", text.encode())


def _rule(kind: int, name: str) -> Rule:
    copy = semconv.COPIES.get(name)
    return Rule(kind, _name(name), b"" if copy is None else _name(copy))


_REFUSED = Rule(REFUSED, b"", b"")
_OF_STEPS = {
    **dict.fromkeys((*METADATA_FIELDS, *SHAPING, SPAN_ID, PARENT_SPAN_ID), _REFUSED),
    **{key: _rule(_KINDS[kind], name) for (key, kind), name in METADATA_NAMES.items()},
    "finish_reason": _rule(REASON, FINISH_REASONS),
    TRACE_ID: Rule(TRACE_KEY, b"", b""),
}
_STEPS = {key.encode(): rule for key, rule in _OF_STEPS.items()}
_CALLS = {**_STEPS, b"cost": _rule(FLOAT, COST)}


def rules_for(event_type: str) -> dict[bytes, Rule]:
    """The rules for events of a type; a key without one is an attribute of our own."""
    return _CALLS if event_type in CALL_TYPES else _STEPS
