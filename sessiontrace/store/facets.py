"""Facets: the texts by which a filter finds a session, such as ``model=gpt-5`` or ``tag=vip``.

Pure functions, no thread owns them. A session has the facets of its own record and of its steps.
Invariant: facets only add up, so records may arrive twice and in any order; a value that an update
replaced still finds the session. A session keeps at most 300 facets, and 25 of one key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sessiontrace.model.record import EVENT
from sessiontrace.store.summary_fields import scores_nano

__all__ = ["MODEL", "Facets", "facets_of", "key_of", "split", "tallied"]

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
    return [line[1:-1] for line in _lines_of(kind, event)]


def _lines_of(kind: bytes, event: dict[str, Any]) -> list[str]:
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
        _append(lines, MODEL, config.get("model"))
    if (metadata := event.get("metadata")) and isinstance(metadata, dict):
        _append(lines, MODEL, metadata.get("response_model"))
        tags = metadata.get("tags")
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
        key = _key(prefix, name)
        if not key:
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
    if name in _MEASURES or name.endswith(_MEASURE_ENDS):
        return ""
    key = f"{prefix}.{name}"
    return key if len(key) <= _KEY_CHARS else ""


def _append(lines: list[str], key: str, value: Any) -> None:
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


class Facets:
    """The facets of one session, to which records add theirs."""

    __slots__ = ("_counts", "_lines", "_text")

    def __init__(self, text: str = "") -> None:
        self._text: str | None = text
        self._lines: dict[str, None] = {}
        self._counts: dict[str, int] = {}  # of lines, by key

    def add(self, kind: bytes, event: dict[str, Any]) -> None:
        """Add those of a record."""
        if self._text and not self._lines:
            for facet in split(self._text):
                self._append(f"\n{facet}\n")
        self._text = None
        for line in _lines_of(kind, event):
            if line not in self._lines:
                self._append(line)

    def _append(self, line: str) -> None:
        key = line[: line.index("=")]
        count = self._counts.get(key, 0)
        if len(self._lines) < _MOST and count < _MOST_OF_KEY:
            self._lines[line] = None
            self._counts[key] = count + 1

    def __str__(self) -> str:
        """All of them as lines, with a line break before and after each."""
        if self._text is None:
            lines = "".join([line[1:] for line in self._lines])
            self._text = f"\n{lines}" if lines else ""
        return self._text


def split(text: str) -> list[str]:
    """The facets in the text of ``Facets``."""
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
