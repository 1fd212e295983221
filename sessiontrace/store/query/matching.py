"""Whether a session's summary fits the terms that its columns decide.

Pure, no thread owns it. A store whose conditions read rows that late updates are not merged into
uses it to decide on the merged summary. Invariant: it decides as the SQLite store's conditions do.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence

from sessiontrace.store.models import SessionSummary
from sessiontrace.store.query.terms import Bound, Pattern, Term

__all__ = ["fits", "is_judged", "is_of_columns"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip

_NUMBERS: dict[str, Callable[[SessionSummary], float]] = {
    "active": lambda summary: summary.last_active,
    "started": lambda summary: summary.start_time,
    "duration": lambda summary: summary.duration,
    "tokens": lambda summary: summary.tokens,
    "cost": lambda summary: summary.cost,
    "steps": lambda summary: summary.events,
    "errors": lambda summary: summary.errors,
}
_TEXTS: dict[str, Callable[[SessionSummary], str | None]] = {
    "name": lambda summary: summary.name,
    "user": lambda summary: summary.user,
    "source": lambda summary: summary.source,
}

_JUDGED: dict[str, Callable[[SessionSummary], Sequence[str]]] = {
    "label": lambda summary: summary.labels,
    "reviewed": lambda summary: (
        () if summary.reviewed is None else ("yes", f"by {summary.reviewed}")
    ),
}

_COLUMNS = frozenset({*_NUMBERS, *_TEXTS, "status", "failed", "score"})


def is_of_columns(term: Term) -> bool:
    """Whether a summary decides on the term; facets and the content decide on others."""
    return term.field in _COLUMNS and not (term.field == "user" and term.name)


def is_judged(term: Term) -> bool:
    """Whether judgements decide on the term, which may be taken back."""
    return term.field in _JUDGED


def fits(term: Term, summary: SessionSummary) -> bool:
    """Whether the summary fits a term that ``is_of_columns`` or ``is_judged``."""
    return _fits(term, summary) != term.negated


def _fits(term: Term, summary: SessionSummary) -> bool:
    if term.field == "failed":
        return summary.error is not None or summary.errors > 0
    if term.field == "status":
        return any(pattern.text == summary.outcome for pattern in term.patterns)
    if term.field == "score":
        return any(
            all(map(_holds, term.bounds, [score] * len(term.bounds)))
            for name, score in summary.scores.items()
            if term.name in ("", name.casefold())
        )
    if term.field in _NUMBERS:
        value = _NUMBERS[term.field](summary)
        return all(_holds(bound, value) for bound in term.bounds)
    if term.field in _JUDGED:
        words = _JUDGED[term.field](summary)
        return any(_is_like(pattern, word) for pattern in term.patterns for word in words)
    text = _TEXTS[term.field](summary) or ""
    return any(_is_like(pattern, text) for pattern in term.patterns)


def _holds(bound: Bound, value: float) -> bool:
    return _OPERATORS[bound.operator](value, bound.number)


def _is_like(pattern: Pattern, text: str) -> bool:
    if pattern.anything:
        return text != ""
    folded = pattern.text.casefold()
    if not pattern.wildcard:
        return text.casefold() == folded
    expression = ".*".join(re.escape(part) for part in folded.split("*"))
    return re.fullmatch(expression, text.casefold(), re.DOTALL) is not None
