"""A query's terms as conditions on the rows of a list of sessions in ClickHouse.

On the caller's thread; a free text asks for the words it may mean. Invariant: values are
parameters. A row may be without the late updates of its session, which it says as ``late``: a
condition on a column lets it pass, and ``matching`` decides on the summary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from sessiontrace.model.ids import session_uuid
from sessiontrace.store import facets
from sessiontrace.store.clickhouse.connection import Connection
from sessiontrace.store.clickhouse.search_terms import looked_for
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.query.matching import is_judged, is_of_columns
from sessiontrace.store.query.terms import Pattern, Term

__all__ = ["CALLS", "FACETS", "MODELS", "NAMES", "ORDERS", "OWN", "SUMS", "TAGS", "ListConditions"]

OWN, SUMS, CALLS, FACETS, NAMES = "own", "sums", "calls", "facets", "folded"
MODELS, TAGS = "models", "tags"
_LAST = "\U0010ffff"

ORDERS: dict[str, tuple[str, str]] = {
    "active": ("active", ""),
    "started": ("start", ""),
    "duration": ("took", ""),
    "name": ("lowerUTF8(name)", OWN),
    "user": ("lowerUTF8(user)", OWN),
    "source": ("lowerUTF8(source)", OWN),
    "status": ("outcome", SUMS),
    "steps": ("steps", SUMS),
    "errors": ("errors", SUMS),
    "tokens": ("tokens", SUMS),
    "cost": ("cost_nano", SUMS),
    "score": ("score", SUMS),
}
"""Each order of ``SessionQuery`` as an expression, and the columns that it needs."""

_COLUMNS = {
    **{name: expression for name, (expression, _) in ORDERS.items()},
    "cost": "cost_nano / 1e9",
}
# The facets of these keys have columns of their own: they are few, and asked for most.
_COLUMN_OF = {"model": MODELS, "tag": TAGS}


@attrs.define
class ListConditions:
    """The conditions of a query on summary rows, and the ``values`` that they name.

    ``needs``: which columns beyond those of every row: the session's own, sums over its steps,
    facets, or names. ``texts``: of each free text, the condition
    that it is in an id, a facet or the content, which late updates do not change. ``scans``: a free
    text is looked for in the texts themselves.
    """

    connection: Connection
    project: str
    having: list[str] = attrs.field(factory=list)
    values: dict[str, Any] = attrs.field(factory=dict)
    needs: set[str] = attrs.field(factory=set)
    texts: list[str] = attrs.field(factory=list)
    scans: bool = False

    @classmethod
    def of(cls, connection: Connection, project: str, query: SessionQuery) -> ListConditions:
        """The conditions of all terms of a query."""
        conditions = cls(connection, project)
        if ORDERS[query.order][1]:
            conditions.needs.add(ORDERS[query.order][1])
        for term in query.conditions:
            condition = conditions.compiled(term)
            if term.negated:
                condition = f"NOT ({condition})"
            if is_of_columns(term):
                condition = f"{condition} OR late"
            conditions.having.append(f"({condition})")
        return conditions

    def value(self, value: Any, kind: str = "String") -> str:
        """The placeholder of a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"

    def compiled(self, term: Term) -> str:
        """One term, without its negation."""
        if term.field == "text":
            return self._text(term.patterns[0])
        if term.field == "id":
            return _any([self._id(pattern.text.rstrip("*")) for pattern in term.patterns])
        if term.field == "among":
            return f"has({self._texts(term.patterns)}, session_id)"
        if term.field == "failed":
            return "bad"
        if term.field == "status":
            self.needs.add(SUMS)
            return f"has({self._texts(term.patterns)}, outcome)"
        if term.field == "score":
            return self._score(term)
        if term.field in ("name", "source") or (term.field == "user" and not term.name):
            self.needs.add(OWN)
            return _any([self._like(term.field, pattern) for pattern in term.patterns])
        if term.bounds:
            if need := ORDERS[term.field][1]:
                self.needs.add(need)
            return self._bounds(_COLUMNS[term.field], term)
        key = facets.key_of(term.field, term.name)
        if is_judged(term) and term.negated:  # facets only add up: one may have been taken back
            condition = _any([self._facet(key, pattern) for pattern in term.patterns])
            return f"({condition} AND NOT has(facets, 'judged=removed'))"
        return _any([self._facet(key, pattern) for pattern in term.patterns])

    def _bounds(self, column: str, term: Term) -> str:
        return " AND ".join(
            f"{column} {bound.operator} {self.value(bound.number, 'Float64')}"
            for bound in term.bounds
        )

    def _texts(self, patterns: Sequence[Pattern]) -> str:
        return self.value([pattern.text for pattern in patterns], "Array(String)")

    def _like(self, column: str, pattern: Pattern) -> str:
        if pattern.anything:
            return f"{column} != ''"
        folded = Pattern(pattern.text.lower(), pattern.wildcard).like()
        return f"lowerUTF8({column}) LIKE {self.value(folded)}"

    def _facet(self, key: str, pattern: Pattern) -> str:
        text, column = f"{key}={pattern.text.casefold()}", _COLUMN_OF.get(key, FACETS)
        if pattern.anything:
            return self._any_facet("startsWith", f"{key}=", column)
        if not pattern.wildcard:
            self.needs.add(column)
            return f"has({column}, {self.value(text)})"
        if "*" not in text[:-1]:
            return self._any_facet("startsWith", text[:-1], column)
        return self._any_facet("like", Pattern(text, wildcard=True).like(), column)

    def _any_facet(self, function: str, text: str, column: str = FACETS) -> str:
        self.needs.add(column)
        return f"arrayExists(facet -> {function}(facet, {self.value(text)}) > 0, {column})"

    def _score(self, term: Term) -> str:
        """The mean over the steps; a session's own score, which counts instead, passes."""
        self.needs.add(SUMS)
        conditions = [
            f"total / number / 1e9 {bound.operator} {self.value(bound.number, 'Float64')}"
            for bound in term.bounds
        ]
        if term.name:
            conditions.append(f"lowerUTF8(label) = {self.value(term.name)}")
        fitting = " AND ".join(conditions) or "1"
        arrays = "score_names, score_sums, score_counts"
        means = f"arrayExists((label, total, number) -> {fitting}, {arrays})"
        return means if term.negated else f"{means} OR own_scores"

    def _id(self, text: str) -> str:
        return f"{self._id_range(text)} OR {self._any_facet('startsWith', _own_id(text))}"

    def _id_range(self, text: str) -> str:
        parts = [f"session_id = {self.value(session_uuid(text))}"]
        for start in dict.fromkeys((text, text.lower())):
            low, high = self.value(start), self.value(start + _LAST)
            parts.append(f"(session_id >= {low} AND session_id < {high})")
        return " OR ".join(parts)

    def _text(self, pattern: Pattern) -> str:
        self.needs.add(NAMES)
        folded = pattern.text.casefold()
        sure = [self._any_facet("position", folded), self._id_range(pattern.text)]
        words = looked_for(self.connection, self.project, pattern.text, f"w{len(self.texts)}_")
        if words is not None:
            self.values |= words.values
            self.scans = self.scans or words.scans
            within = f"project = {{project:String}}{{scope}} AND {words.condition}"
            sure += [
                f"session_id IN (SELECT session_id FROM {table} WHERE {within})"
                for table in ("events", "patches")
            ]
        self.texts.append(_any(sure))
        return _any(
            [f"arrayExists(text -> position(text, {self.value(folded)}) > 0, folded)", *sure]
        )


def _any(conditions: Sequence[str]) -> str:
    return f"({' OR '.join(conditions)})"


def _own_id(text: str) -> str:
    return f"metadata.session_id={text.casefold()}"
