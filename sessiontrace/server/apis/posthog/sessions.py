"""PostHog's two questions about sessions, answered from the store: which properties, which values.

Runs on the reading threads. Invariant: the answers list only properties that sessions of this store
have; values are counted over the latest 100 000 sessions, the most common first.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from sessiontrace.model.json_depth import encode
from sessiontrace.store.protocol import Store

__all__ = ["definitions", "top_values"]

_SESSIONS = 100_000
_VALUES = 20
_OWN = ("name", "source", "user", "error_type")
_FIXED = (  # name, type, whether it is numerical
    ("$start_timestamp", "DateTime", False),
    ("$end_timestamp", "DateTime", False),
    ("$session_duration", "Duration", True),
)


def definitions(store: Store, search: str, numerical: bool | None) -> dict[str, Any]:
    """The properties of sessions whose name contains all words of ``search``."""
    texts = store.count_properties(_SESSIONS)
    entries = sorted(name for name in texts if name.startswith("$entry_"))
    properties: list[tuple[str, str, bool]] = list(_FIXED[:2]) if texts.count else []
    names = [*entries, *(name for name in _OWN if texts.get(name))]
    properties += [(name, "String", False) for name in names]
    properties += _FIXED[2:] if texts.count else []
    words = re.findall(r"\w+", search.lower())
    results: list[dict[str, Any]] = [
        {
            "id": name,
            "name": name,
            "is_numerical": is_numerical,
            "property_type": kind,
            "is_seen_on_filtered_events": None,
            "tags": [],
        }
        for name, kind, is_numerical in properties
        if all(word in name.lower() for word in words)
        and (numerical is None or is_numerical is numerical)
    ]
    return {"count": len(results), "results": results}


def top_values(store: Store, key: str, term: str) -> dict[str, Any]:
    """The most common values of a text property, at most 20; none for any other key."""
    counts: dict[str, int] = {}
    if key in _OWN or key.startswith("$entry_"):
        counts = dict(store.count_properties(_SESSIONS).get(key) or {})
    pattern = _like(term) if term else None
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    names = [name for name, _ in ranked if pattern is None or pattern.search(name)][:_VALUES]
    labels = [label for name in names for label in _labels(name)]
    return {"results": [{"name": label} for label in labels], "refreshing": False}


def _like(term: str) -> re.Pattern[str]:
    """A pattern that matches as ILIKE %term% does; the term's own wildcards count."""
    pieces = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in term)
    return re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)


def _labels(text: str) -> list[str]:
    """A value as PostHog labels it: decoded where it is JSON, one label an item of a list."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    if isinstance(value, list):
        return [_flat(item) for item in value]
    return [_flat(value)]


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        inner = value[0] if isinstance(value, list) and len(value) == 1 else value
        if inner is not value:
            return _flat(inner)
        return encode(value, orjson.OPT_SORT_KEYS).decode()
    return str(value)
