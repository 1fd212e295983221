"""The form of ``lines_of`` in Python, which is the specification; see ``facet_lines``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sessiontrace.model.record import EVENT
from sessiontrace.store.summary_fields import scores_nano

__all__ = ["MOST_LINES", "MOST_LINES_OF_KEY", "add_lines", "is_measure_key", "lines_of"]

MOST_LINES, MOST_LINES_OF_KEY = 300, 25
"""Lines that a session keeps, in all and of one key."""

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


def lines_of(kind: bytes, event: dict[str, Any]) -> list[str]:
    """The facets of a record, each as a line with its line breaks."""
    lines: list[str] = []
    if event["event_id"] != event["session_id"]:
        if kind != EVENT and "event_name" in event and "start_time" in event:
            _append(lines, "type", "turn")
        else:
            _append(lines, "type", event.get("event_type"))
        _append(lines, "step", event.get("event_name"))
    if (error := event.get("error")) is not None:
        _append(lines, "error", str(error)[:_VALUE_CHARS].partition(":")[0].strip())
    if "feedback" in event or "metrics" in event:
        for name in scores_nano(event):
            _append(lines, "score", name)
    if (config := event.get("config")) and isinstance(config, dict):
        _append(lines, "model", config.get("model"))
    if (metadata := event.get("metadata")) and isinstance(metadata, dict):
        _append(lines, "model", metadata.get("response_model"))
        if (tags := metadata.get("tags")) is not None:
            for tag in tags if isinstance(tags, list) else (tags,):
                _append(lines, "tag", tag)
        _gather(lines, "metadata", metadata, _DEPTH)
    if (properties := event.get("user_properties")) and isinstance(properties, dict):
        _gather(lines, "user", properties, _DEPTH)
    return lines


def _gather(lines: list[str], prefix: str, values: Mapping[str, Any], depth: int) -> None:
    """The entries of an object as facets ``prefix.key=value``; those of inner objects too."""
    for name, value in values.items():
        if len(lines) > _MOST_ENTRIES:
            return
        if value is None or not (key := _key(prefix, name)):
            continue
        if type(value) is str:
            if value:
                lines.append(_line(key, value[:_VALUE_CHARS]))
        elif isinstance(value, dict):
            if depth > 1:
                _gather(lines, key, value, depth - 1)
        elif isinstance(value, list):
            for item in value[:_MOST_OF_KEY]:
                _append(lines, key, item)
        else:
            _append(lines, key, value)


@lru_cache(maxsize=4_096)
def _key(prefix: str, name: str) -> str:
    """The key of an entry; empty for a measure, and for a key that is too long."""
    if is_measure_key(name):
        return ""
    key = f"{prefix}.{name}"
    return key if len(key) <= _KEY_CHARS else ""


def is_measure_key(name: str) -> bool:
    """Whether an entry of this name is a count or a measure, which is not a facet."""
    return name in _MEASURES or name.endswith(_MEASURE_ENDS)


def _append(lines: list[str], key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, str):
        if value:
            lines.append(_line(key, value[:_VALUE_CHARS]))
    elif isinstance(value, bool):
        lines.append(_line(key, "true" if value else "false"))
    elif isinstance(value, (int, float)):
        lines.append(_line(key, str(value)))


# Most records repeat values of the ones before: a look at the cache is cheaper than the line.
@lru_cache(maxsize=8_192)
def _line(key: str, value: str) -> str:
    facet = f"{key}={value}".casefold()
    if not facet.isprintable():  # line breaks among them, which part facets
        facet = " ".join(facet.split())
    return f"\n{facet}\n"


def add_lines(lines: list[str], present: dict[str, None], counts: dict[str, int]) -> None:
    """Add lines to those of a session, as far as it keeps so many.

    ``counts``: how many ``present`` has of each key.
    """
    for line in lines:
        if line in present:
            continue
        key = line[: line.index("=")]
        count = counts.get(key, 0)
        if len(present) < MOST_LINES and count < MOST_LINES_OF_KEY:
            present[line] = None
            counts[key] = count + 1
