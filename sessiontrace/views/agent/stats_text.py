"""Counts over sessions for a coding agent: outcomes, cost, durations, names and errors.

Reads the latest sessions that fit a query, at most ``MOST``. Invariant: the text says how many
sessions it counts, and whether there are others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import attrs

from sessiontrace.store.models import SessionQuery, SessionSummary
from sessiontrace.store.protocol import Store
from sessiontrace.text.format import amount, cost, duration
from sessiontrace.views.agent.page import Page
from sessiontrace.views.agent.recorded import QUOTED_IS_DATA, quote

__all__ = ["stats_text"]

MOST = 1_000
"""The most sessions that are counted."""

_TOP = 8
_SHARES = (50, 95)
_OF_STEPS = (("models", "model"), ("errors of steps, by type", "error"), ("tags", "tag"))


def stats_text(store: Store, query: SessionQuery, tokens: int) -> str:
    """The counts of the latest sessions that fit."""
    sessions = store.sessions(attrs.evolve(query, limit=MOST))
    page = Page(tokens, reserve=200)
    if not sessions.sessions:
        return "No session matches.\n"
    page.add(QUOTED_IS_DATA)
    for line in _lines(sessions.sessions):
        page.add(line)
    if not query.conditions:
        values = store.filter_values(MOST)
        for title, key in _OF_STEPS:
            for line in _tops(title, Counter(values.get(key, {}))):
                page.add(line)
    if sessions.next is None:
        return page.finish()
    return page.finish(f"[only the latest {MOST:,} sessions are counted; narrow the query]")


def _lines(sessions: Sequence[SessionSummary]) -> Iterator[str]:
    outcomes = Counter(summary.outcome for summary in sessions)
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    yield f"{amount(len(sessions), 'session')}: {counts}"
    with_errors = sum(summary.errors > 0 for summary in sessions)
    yield f"with failed steps: {with_errors:,}"
    tokens = sum(summary.tokens for summary in sessions)
    money = cost(
        sum(summary.cost for summary in sessions),
        sum(summary.unpriced for summary in sessions),
        tokens,
    )
    calls = sum(summary.models for summary in sessions)
    yield f"model calls: {calls:,} · {amount(tokens, 'token')} · cost {money or 'none'}"
    times = sorted(summary.duration for summary in sessions)
    shares = [f"p{share} {duration(times[_position(share, times)])}" for share in _SHARES]
    yield f"duration: {' · '.join(shares)} · longest {duration(times[-1])}"
    slowest = max(sessions, key=lambda summary: summary.duration)
    yield f"longest: {quote(slowest.name or 'unnamed session', 60)} {quote(slowest.session_id, 60)}"
    yield from _tops("names", (summary.name or "unnamed session" for summary in sessions))
    yield from _tops("users", (summary.user for summary in sessions if summary.user))
    errors = (summary.error.partition(":")[0] for summary in sessions if summary.error is not None)
    yield from _tops("errors of sessions, by type", errors)
    yield from _scores(sessions)


def _position(share: int, values: Sequence[float]) -> int:
    return min(len(values) - 1, len(values) * share // 100)


def _tops(title: str, texts: Iterable[str] | Counter[str]) -> Iterator[str]:
    counts = texts if isinstance(texts, Counter) else Counter(texts)
    if not counts:
        return
    tops = ", ".join(f"{quote(text, 60)} {count:,}" for text, count in counts.most_common(_TOP))
    others = len(counts) - _TOP
    yield f"{title}: {tops}" + (f", and {others:,} others" if others > 0 else "")


def _scores(sessions: Sequence[SessionSummary]) -> Iterator[str]:
    values: dict[str, list[float]] = {}
    for summary in sessions:
        for name, value in summary.scores.items():
            values.setdefault(str(name), []).append(value)
    for name, numbers in sorted(values.items())[:_TOP]:
        mean = sum(numbers) / len(numbers)
        yield f"score {quote(name, 40)}: mean {mean:.3g} over {amount(len(numbers), 'session')}"
