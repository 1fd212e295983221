"""A query's terms as conditions on the table of sessions, and its order as an expression.

Pure, but for ``add_functions``, which gives a connection the functions that conditions call.
Invariant: values are parameters; a condition is 0 or 1, never NULL, so that it can be negated. All
columns that conditions and orders read are in the index ``sessions_by_activity``: SQLite reads no
row of the table that it does not return.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from sessiontrace.model.ids import session_uuid
from sessiontrace.store import facets
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.query.terms import Pattern, Term
from sessiontrace.store.sqlite import search

__all__ = ["ORDERS", "add_functions", "conditions"]

_HAS = "instr(facets, ?) > 0"

Condition = tuple[str, list[Any]]

_LAST = "\U0010ffff"
_ID_PREFIX = re.compile(r"[0-9a-zA-Z][\w.:-]{3,}")

ORDERS = {
    "active": "last_active",
    "started": "start_time",
    "name": "coalesce(name, '') COLLATE NOCASE",
    "user": "coalesce(user, '') COLLATE NOCASE",
    "source": "coalesce(source, '') COLLATE NOCASE",
    "status": "outcome",
    "duration": "duration",
    "steps": "events",
    "errors": "errors",
    "tokens": "tokens",
    "cost": "cost_nano",
    "score": "coalesce((SELECT avg(value) FROM json_each(scores)), -9e99)",
}
"""Each order of ``SessionQuery`` as an expression that is never NULL."""

_COLUMNS = {
    "active": "last_active",
    "started": "start_time",
    "duration": "duration",
    "tokens": "tokens",
    "cost": "cost_nano / 1e9",
    "steps": "events",
    "errors": "errors",
}


def add_functions(connection: sqlite3.Connection) -> None:
    """Give the connection ``fold(text)``, ``has_facet(pattern, facets)``, ``tags_in(facets)``."""
    connection.create_function("fold", 1, _fold, deterministic=True)
    connection.create_function("has_facet", 2, _has_facet, deterministic=True)
    connection.create_function("tags_in", 1, facets.tags_in, deterministic=True)


def conditions(query: SessionQuery) -> tuple[list[str], list[Any]]:
    """The conditions of a query on the table of sessions, and their values."""
    # A session without a start has only late updates: there is nothing to show.
    where: list[str] = ["last_active IS NOT NULL"]
    values: list[Any] = []
    for term in query.conditions:
        condition, own_values = _COMPILERS[term.field](term)
        where.append(f"NOT ({condition})" if term.negated else f"({condition})")
        values += own_values
    if query.after is not None:
        sign = ">" if query.ascending else "<"
        where.append(f"({ORDERS[query.order]}, session_id) {sign} (?, ?)")
        values += query.after
    return where, values


def _fold(text: str | None) -> str:
    return (text or "").casefold()


@functools.lru_cache(maxsize=64)
def _facet_pattern(pattern: str) -> re.Pattern[str]:
    words = (re.escape(part) for part in pattern.split("*"))
    return re.compile("\n" + "[^\n]*".join(words) + "\n")


def _has_facet(pattern: str, text: str) -> int:
    return int(_facet_pattern(pattern).search(text) is not None)


def _any(conditions: Sequence[Condition]) -> Condition:
    texts = " OR ".join(condition for condition, _ in conditions)
    return texts, [value for _, values in conditions for value in values]


def _of_column(column: str) -> Callable[[Term], Condition]:
    """A text column: equal in any case, LIKE with wildcards; LIKE folds ASCII letters only."""

    def compiled(term: Term) -> Condition:
        return _any([condition(pattern) for pattern in term.patterns])

    def condition(pattern: Pattern) -> Condition:
        if pattern.anything:
            return f"coalesce({column}, '') != ''", []
        plain = pattern.text.isascii()
        text = f"coalesce({column}, '')" if plain else f"fold({column})"
        like = (
            pattern.like() if plain else Pattern(pattern.text.casefold(), pattern.wildcard).like()
        )
        return f"{text} LIKE ? ESCAPE '\\'", [like]

    return compiled


def _of_facet(term: Term) -> Condition:
    key = facets.key_of(term.field, term.name)
    return _any([_facet(key, pattern) for pattern in term.patterns])


def _facet(key: str, pattern: Pattern) -> Condition:
    text = f"{key}={pattern.text.casefold()}"
    if pattern.anything:
        return _HAS, [f"\n{key}="]
    if not pattern.wildcard:
        return _HAS, [f"\n{text}\n"]
    if "*" not in text[:-1]:
        return _HAS, [f"\n{text[:-1]}"]
    return f"({_HAS} AND has_facet(?, facets))", [f"\n{key}=", text]


def _user(term: Term) -> Condition:
    return _of_facet(term) if term.name else _of_column("user")(term)


def _number(term: Term) -> Condition:
    column = _COLUMNS[term.field]
    texts = [f"{column} {bound.operator} ?" for bound in term.bounds]
    return " AND ".join(texts), [bound.number for bound in term.bounds]


def _score(term: Term) -> Condition:
    texts = [f"value {bound.operator} ?" for bound in term.bounds]
    values: list[Any] = [bound.number for bound in term.bounds]
    if term.name:
        texts.append("fold(key) = ?")
        values.append(term.name)
    where = f" WHERE {' AND '.join(texts)}" if texts else ""
    fitting = f"SELECT 1 FROM json_each(scores){where}"  # noqa: S608 - from above
    return f"scores != '{{}}' AND EXISTS ({fitting})", values


def _status(term: Term) -> Condition:
    marks = ", ".join("?" * len(term.patterns))
    return f"outcome IN ({marks})", [pattern.text for pattern in term.patterns]


def _failed(term: Term) -> Condition:
    return "failed", []


def _among(term: Term) -> Condition:
    ids = orjson.dumps([pattern.text for pattern in term.patterns]).decode()
    return "session_id IN (SELECT value FROM json_each(?))", [ids]


def _id(term: Term) -> Condition:
    return _any([_id_of(pattern.text.rstrip("*")) for pattern in term.patterns])


def _id_of(text: str) -> Condition:
    """A session's id, the application's own id for it, or how one of them begins."""
    own_id = _facet("metadata.session_id", Pattern(f"{text}*", wildcard=True))
    return _any([_id_range(text), own_id])


def _id_range(text: str) -> Condition:
    """Our id for the application's ``text``, or ids that begin with it; ours are in lower case."""
    parts: list[Condition] = [("session_id = ?", [session_uuid(text)])]
    parts += [
        ("(session_id >= ? AND session_id < ?)", [start, start + _LAST])
        for start in dict.fromkeys((text, text.lower()))
    ]
    return _any(parts)


def _text(term: Term) -> Condition:
    """Free text: in the names, ids and facets as it is, or word by word in the content."""
    (pattern,) = term.patterns
    folded = pattern.text.casefold()
    parts: list[Condition] = [
        ("instr(folded, ?) > 0", [folded]),
        (_HAS, [folded]),
    ]
    if _ID_PREFIX.fullmatch(pattern.text):
        parts.append(_id_range(pattern.text))
    if (words := search.expression(pattern.text)) is not None:
        parts.append((search.HITS, [words]))
    return _any(parts)


_COMPILERS: dict[str, Callable[[Term], Condition]] = {
    "text": _text,
    "failed": _failed,
    "among": _among,
    "user": _user,
    "name": _of_column("name"),
    "source": _of_column("source"),
    "tag": _of_facet,
    "label": _of_facet,
    "reviewed": _of_facet,
    "step": _of_facet,
    "model": _of_facet,
    "type": _of_facet,
    "error": _of_facet,
    "metadata": _of_facet,
    "status": _status,
    "score": _score,
    "id": _id,
    **dict.fromkeys(_COLUMNS, _number),
}
