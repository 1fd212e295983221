"""Pydantic AI's own attributes, in the names of the conventions.

Pure functions, no thread owns them. An agent's span has the whole history under a name of its own,
and the result beside it. Invariant: the attributes of any other span come back as they are.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.received_span import Attributes
from sessiontrace.wire.value_tree import json_value

__all__ = ["conventional"]

_HISTORY = "pydantic_ai.all_messages"
_NEW_INDEX = "pydantic_ai.new_message_index"
_RESULT = "final_result"
_NOTES = frozenset({_HISTORY, _NEW_INDEX, "logfire.json_schema", "logfire.msg"})


def conventional(attributes: Attributes) -> Attributes:
    """The attributes with an agent's inputs and outputs under the names of the conventions."""
    if "logfire.json_schema" not in attributes and _HISTORY not in attributes:
        return attributes
    translated = {name: value for name, value in attributes.items() if name not in _NOTES}
    history = json_value(attributes.get(_HISTORY))
    if isinstance(history, list):
        new = attributes.get(_NEW_INDEX)
        question, answer = _split(history, new if isinstance(new, int) else 0)
        translated["gen_ai.input.messages"] = question
        if _RESULT in attributes:
            translated["output.value"] = translated.pop(_RESULT)
        elif answer:
            translated["gen_ai.output.messages"] = answer
    return translated


def _split(history: list[Any], new: int) -> tuple[list[Any], list[Any]]:
    """What the agent was given, and its last answer; ``new``: where this run's messages begin."""
    end = next(
        (
            index
            for index, entry in enumerate(history)
            if index >= new and isinstance(entry, dict) and entry.get("role") == "assistant"
        ),
        len(history),
    )
    last = history[-1] if end < len(history) else None
    return history[:end], [last] if isinstance(last, dict) else []
