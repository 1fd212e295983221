"""PostHog's two questions about sessions, answered from the store: which properties, which values.

Pure over a store. Invariant: only what sessions of this store really have is listed; the texts of
a property are counted over the latest 100 000 sessions, the commonest first.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from sessiontrace.store.protocol import Store

__all__ = ["definitions", "values"]

_SESSIONS = 100_000
_VALUES = 20
_OWN = ("name", "source", "user", "error_type")
_FIXED = (  # name, type, whether it is numerical
    ("$start_timestamp", "DateTime", False),
    ("$end_timestamp", "DateTime", False),
    ("$session_duration", "Duration", True),
)


def definitions(store: Store, search: str, numerical: bool | None) -> dict[str, Any]:
    """The properties that sessions have, those whose name holds all words of ``search``."""
    texts = store.count_properties(_SESSIONS)
    entries = sorted(name for name in texts if name.startswith("$entry_"))
    found: list[tuple[str, str, bool]] = list(_FIXED[:2]) if texts.count else []
    found += [(name, "String", False) for name in (*entries, *(n for n in _OWN if texts.get(n)))]
    found += _FIXED[2:] if texts.count else []
    words = re.findall(r"\w+", search.lower())
    listed: list[dict[str, Any]] = [
        {
            "id": name,
            "name": name,
            "is_numerical": is_numerical,
            "property_type": kind,
            "is_seen_on_filtered_events": None,
            "tags": [],
        }
        for name, kind, is_numerical in found
        if all(word in name.lower() for word in words)
        and (numerical is None or is_numerical is numerical)
    ]
    return {"count": len(listed), "results": listed}


def values(store: Store, key: str, term: str) -> dict[str, Any]:
    """The commonest values of a text property, at most 20; none for any other key."""
    counted: dict[str, int] = {}
    if key in _OWN or key.startswith("$entry_"):
        counted = dict(store.count_properties(_SESSIONS).get(key) or {})
    wanted = _like(term) if term else None
    ranked = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    names = [name for name, _ in ranked if wanted is None or wanted.search(name)][:_VALUES]
    found = [one for name in names for one in _named(name)]
    return {"results": [{"name": one} for one in found], "refreshing": False}


def _like(term: str) -> re.Pattern[str]:
    """What ILIKE %term% finds; its own wildcards are not escaped."""
    pieces = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in term)
    return re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)


def _named(text: str) -> list[str]:
    """A value as PostHog names it: read as JSON where it is some."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    if isinstance(found, list):
        return [_flat(one) for one in found]
    return [_flat(found)]


def _flat(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        inner = value[0] if isinstance(value, list) and len(value) == 1 else value
        if inner is not value:
            return _flat(inner)
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return str(value)
