"""Counts of the texts of sessions (names, sources, users, error types, entries) and of steps.

No thread owns it. Invariant: each session counts once for each text.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection
from typing import Any

import orjson

from sessiontrace.model.json_depth import encode
from sessiontrace.store import facets
from sessiontrace.store.models import PropertyCounts, StepGroup

__all__ = ["count_properties", "filter_values", "step_groups"]


def count_properties(connection: sqlite3.Connection, most: int) -> PropertyCounts:
    """Count the texts of the latest ``most`` sessions; empty texts do not count.

    Properties: ``name``, ``source``, ``user``, ``error_type`` (the word before an error's colon)
    and each user property that starts with ``$entry_``.
    """
    counts = PropertyCounts()
    rows = connection.execute(
        "SELECT id, name, source, user, error FROM sessions WHERE start_time IS NOT NULL "
        "ORDER BY start_time DESC, session_id DESC LIMIT ?",
        (most,),
    )
    for _, name, source, user, error in rows:
        counts.count += 1
        kind = error.partition(":")[0].strip() if error else None
        for key, text in (("name", name), ("source", source), ("user", user), ("error_type", kind)):
            if text:
                counts.setdefault(key, Counter())[text] += 1
    for body, patch in connection.execute(
        "SELECT body, patch FROM session_records "
        "WHERE instr(coalesce(body, '') || coalesce(patch, ''), '\"$entry_') > 0 LIMIT ?",
        (most,),
    ):
        for key, value in _properties(body, patch).items():
            if key.startswith("$entry_") and value not in (None, ""):
                text = value if isinstance(value, str) else encode(value).decode()
                counts.setdefault(key, Counter())[text] += 1
    return counts


def filter_values(connection: sqlite3.Connection, sessions: int) -> dict[str, Counter[str]]:
    """How many of the latest sessions have each value, by key of the query language."""
    rows = connection.execute(
        "SELECT name, user, source, facets FROM sessions WHERE last_active IS NOT NULL "
        "ORDER BY last_active DESC, session_id DESC LIMIT ?",
        (sessions,),
    ).fetchall()
    counts = facets.tallied(facets.split(row[3]) for row in rows)
    for position, key in enumerate(("name", "user", "source")):
        counts[key] = Counter(row[position] for row in rows if row[position])
    return counts


_STEPS = """
SELECT
    CASE WHEN turn THEN 'turn' ELSE type END, name, count(*), count(DISTINCT session_id),
    count(error), sum(tokens), sum(cost_nano), json_group_array(duration)
FROM events
WHERE session_id IN (SELECT value FROM json_each(?)) AND rank > 0
GROUP BY 1, 2
"""


def step_groups(connection: sqlite3.Connection, session_ids: Collection[str]) -> list[StepGroup]:
    """The steps of these sessions by type and name."""
    ids = orjson.dumps(list(session_ids)).decode()
    return [
        StepGroup(
            kind,
            name,
            steps,
            sessions,
            failed,
            tokens,
            cost,
            [ms for ms in orjson.loads(durations) if ms is not None],
        )
        for kind, name, steps, sessions, failed, tokens, cost, durations in connection.execute(
            _STEPS, (ids,)
        )
    ]


def _properties(body: str | None, patch: str | None) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for text in (body, patch):
        properties = orjson.loads(text).get("user_properties") if text else None
        merged |= properties if isinstance(properties, dict) else {}
    return merged
