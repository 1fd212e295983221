"""Facets: the texts by which a filter finds a session, such as ``model=gpt-5`` or ``tag=vip``.

Pure functions, no thread owns them. A session has the facets of its own record and of its steps.
Invariant: facets only add up, so records may arrive twice and in any order; a value that an update
replaced still finds the session. A session keeps at most 300 facets, and 25 of one key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sessiontrace.model.record import EVENT
from sessiontrace.store.summary_fields import scores_nano

__all__ = ["MODEL", "add", "facets_of", "key_of", "split", "tallied"]

_MOST = 300
_MOST_OF_KEY = 25
_KEY_CHARS = 100
_VALUE_CHARS = 200
_DEPTH = 3
_MOST_ENTRIES = 100  # of one record
# Counts and measures: a filter for sizes reads the sums.
_MEASURES = frozenset(
    {"cost", "total_cost", "prompt_cost", "completion_cost", "output_cost", "chunks"}
)
_MEASURE_ENDS = ("_tokens", "_ms")

MODEL = "model"


def facets_of(kind: bytes, event: dict[str, Any]) -> list[str]:
    """The facets of a record, each ``key=value`` in lower case."""
    facets: list[str] = []
    if event["event_id"] != event["session_id"]:
        if kind != EVENT and "event_name" in event and "start_time" in event:
            facets.append("type=turn")
        elif isinstance(event_type := event.get("event_type"), str):
            _append(facets, "type", event_type)
        _append(facets, "step", event.get("event_name"))
    error = event.get("error")
    if error is not None:
        _append(facets, "error", str(error)[:_VALUE_CHARS].partition(":")[0].strip())
    for name in scores_nano(event):
        _append(facets, "score", name)
    if isinstance(config := event.get("config"), dict):
        _append(facets, MODEL, config.get("model"))
    if isinstance(metadata := event.get("metadata"), dict) and metadata:
        _append(facets, MODEL, metadata.get("response_model"))
        tags = metadata.get("tags")
        for tag in tags if isinstance(tags, list) else (tags,):
            _append(facets, "tag", tag)
        _gather(facets, "metadata", metadata, _DEPTH)
    if isinstance(properties := event.get("user_properties"), dict) and properties:
        _gather(facets, "user", properties, _DEPTH)
    return facets


def _gather(facets: list[str], prefix: str, values: Mapping[str, Any], depth: int) -> None:
    """The entries of an object as facets ``prefix.key=value``; those of inner objects too."""
    for key, value in values.items():
        if len(facets) > _MOST_ENTRIES:
            return
        if key in _MEASURES or key.endswith(_MEASURE_ENDS):
            continue
        if isinstance(value, dict):
            if depth > 1:
                _gather(facets, f"{prefix}.{key}", value, depth - 1)
        elif isinstance(value, list):
            for item in value[:_MOST_OF_KEY]:
                _append(facets, f"{prefix}.{key}", item)
        else:
            _append(facets, f"{prefix}.{key}", value)


def _append(facets: list[str], key: str, value: Any) -> None:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (int, float)):
        text = str(value)
    else:
        return
    if not text or len(key) > _KEY_CHARS:
        return
    facet = f"{key}={text[:_VALUE_CHARS]}".casefold()
    if not facet.isprintable():  # line breaks among them, which part facets
        facet = " ".join(facet.split())
    facets.append(facet)


def add(text: str, facets: Iterable[str]) -> str:
    """Facets as lines of ``text`` (``\\n`` before and after each), with more of them added."""
    for facet in facets:
        if f"\n{facet}\n" in text:
            continue
        text = text or "\n"
        key = facet.partition("=")[0]
        if text.count("\n") <= _MOST and text.count(f"\n{key}=") < _MOST_OF_KEY:
            text += f"{facet}\n"
    return text


def split(text: str) -> list[str]:
    """The facets in a text that ``add`` returned."""
    return text[1:-1].split("\n") if text else []


def key_of(field: str, name: str) -> str:
    """The key of the facets that a filter looks at: ``metadata.plan``, ``tag``."""
    return f"{field}.{name}" if name else field


def tallied(facets: Iterable[Iterable[str]]) -> dict[str, Counter[str]]:
    """How many sessions have each value, by key; ``facets`` of one session after the other."""
    counts: dict[str, Counter[str]] = {}
    for lines in facets:
        for line in lines:
            key, _, value = line.partition("=")
            counts.setdefault(key, Counter())[value] += 1
    return counts
