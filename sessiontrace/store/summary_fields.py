"""A record's fields as a store summarises them: times, user, tokens, cost, status.

Pure functions over a decoded record, no thread owns them. Invariant: for any content of a
field they return a value that fits its column, or None, and never raise.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.model.call_usage import call_cost, call_tokens
from sessiontrace.model.fields import SCORES, is_measure
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.store import models

__all__ = [
    "IS_CALL",
    "bucket",
    "cost_nano",
    "duration",
    "error",
    "first_chunk_ms",
    "model",
    "scores_nano",
    "status",
    "text",
    "time",
    "tokens",
    "user",
]

IS_CALL = f"type IN {tuple(sorted(CALL_TYPES))}"
"""The condition in SQL for an event that calls a model, of either store."""

_NANO = 1_000_000_000
_LATEST_MS = 1 << 53
_MOST = 1 << 32  # of a score in one step: sums of them stay far within 64 bits
_ERROR_CHARS = 300
_SCORES = 20
_NAME_CHARS = 100
_MODEL_CHARS = 200
_RATINGS = {"good": _NANO, "bad": 0}
_USER_KEYS = ("user_id", "user", "id", "distinct_id", "email", "name")


def time(event: dict[str, Any], name: str) -> int | None:
    """Unix ms, or None."""
    value = event.get(name)
    if type(value) is int or type(value) is float:
        return int(value) if 0 <= value < _LATEST_MS else None
    return None


def bucket(event: dict[str, Any], name: str) -> dict[str, Any]:
    """One of the record's objects; empty when it is missing or not an object."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """A text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def error(event: dict[str, Any]) -> str | None:
    """The start of the error text, or None."""
    value = event.get("error")
    return None if value is None else str(value)[:_ERROR_CHARS]


def duration(event: dict[str, Any], start: int, end: int | None) -> float | None:
    """Milliseconds: the record's own value, else computed from its times."""
    value = event.get("duration")
    if type(value) is int or type(value) is float:
        return float(value) if 0 <= value < _LATEST_MS else None
    return None if end is None else float(end - start)


def model(event: dict[str, Any]) -> str:
    """The model that a call asked for, else the one that answered; empty when it names none."""
    requested = text(bucket(event, "config").get("model"))
    answering = text(bucket(event, "metadata").get("response_model"))
    return (requested or answering or "")[:_MODEL_CHARS]


def first_chunk_ms(event: dict[str, Any]) -> float | None:
    """Milliseconds until the first chunk of a streamed answer, or None."""
    ms = bucket(event, "metrics").get("time_to_first_chunk_ms")
    return float(ms) if isinstance(ms, (int, float)) and 0 <= ms < _LATEST_MS else None


def tokens(event: dict[str, Any]) -> int:
    """Tokens of a model call, input and output together; 0 when the record has none."""
    return call_tokens(event)


def cost_nano(event: dict[str, Any]) -> int | None:
    """Cost in 10**-9 of its currency: integers add up to the same sum in any order.

    None where the record has no cost.
    """
    cost = call_cost(event)
    return None if cost is None else round(cost * _NANO)


def scores_nano(event: dict[str, Any]) -> dict[str, int]:
    """Scores by name, in 10**-9; the first 20 in the order of their names.

    Scores are the numbers and booleans of ``feedback``, those of ``metrics`` whose name is not a
    measure of time, size or cost, and Humanloop's text ratings "good" (1) and "bad" (0).
    """
    scores: dict[str, int] = {}
    for place in SCORES:
        values = event.get(place)
        if not values or not isinstance(values, dict):
            continue
        for name, value in values.items():
            if place == "metrics" and is_measure(name):
                continue
            if isinstance(value, (int, float)) and -_MOST < value < _MOST:
                scores[name[:_NAME_CHARS]] = round(value * _NANO)
            elif name == "rating" and isinstance(value, str) and value in _RATINGS:
                scores[name] = _RATINGS[value]
    if len(scores) > _SCORES:
        return {name: scores[name] for name in sorted(scores)[:_SCORES]}
    return scores


def user(event: dict[str, Any]) -> str | None:
    """The session's user, from its user properties."""
    properties = event.get("user_properties")
    if not isinstance(properties, dict):
        return None
    for name in _USER_KEYS:
        value = properties.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def status(event: dict[str, Any]) -> str:
    """The status of a finished event or session."""
    metadata = event.get("metadata")
    if not isinstance(metadata, dict):
        return models.ENDED
    if metadata.get("abandoned") is True:
        return models.ABANDONED
    return models.CANCELLED if metadata.get("cancelled") is True else models.ENDED
