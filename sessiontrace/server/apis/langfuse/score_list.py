"""The scores of the store in the form of Langfuse's API, by any author.

Runs on the threads that read the store. Source: "Scores" in Langfuse's API, versions 1 to 3.
Invariant: a question reads at most so many sessions and so long; what it did not reach is marked by
a cursor, or in ``meta.truncated``, and never left out in silence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from sessiontrace.model.fields import SCORES, is_measure
from sessiontrace.server import record_builder
from sessiontrace.server.apis.langfuse.ids import observation_span, trace_of
from sessiontrace.server.apis.otlp.span_ids import trace_session
from sessiontrace.store.gathered import SESSION, first_part
from sessiontrace.store.models import Cursor, EventQuery, SessionQuery
from sessiontrace.store.protocol import Store

__all__ = ["Score", "ScoreFilter", "ScorePage", "page_of", "score_of"]

_SESSIONS = 2_000
_AT_ONCE = 100
_RECORDS = 10_000  # of a session
_SECONDS = 1.0

Fields = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class ScoreFilter:
    """Which scores: all that is set must hold. Times are Unix ms, ``until`` exclusive."""

    ids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()
    traces: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    observations: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    since: float | None = None
    until: float | None = None
    least: float | None = None
    most: float | None = None

    def fits(self, score: Score) -> bool:
        """Whether the score is one of these."""
        sets = (
            (self.ids, score.id), (self.names, score.name), (self.sources, score.source),
            (self.types, score.type), (self.environments, score.environment),
            (self.traces, score.trace_id), (self.sessions, score.session),
            (self.observations, score.span_id), (self.users, score.user),
            (self.values, score.text),
        )  # fmt: skip
        if any(values and value not in values for values, value in sets):
            return False
        number = None if isinstance(score.value, str) else score.value
        bounds = (
            (self.since is None or score.at >= self.since),
            (self.until is None or score.at < self.until),
            (self.least is None or (number is not None and number >= self.least)),
            (self.most is None or (number is not None and number <= self.most)),
        )
        return all(bounds)


@attrs.frozen(kw_only=True)
class Score:
    """One score. ``at``: Unix ms. ``kind``: "trace", "observation" or "session"."""

    id: str
    name: str
    value: float | bool | str
    type: str
    at: float
    source: str
    kind: str
    trace_id: str | None
    span_id: str | None
    session: str
    user: str | None
    environment: str
    comment: str | None
    metadata: Any

    @property
    def text(self) -> str:
        """The value as a filter names it; a whole number without a fraction."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return self.value if isinstance(self.value, str) else f"{self.value:.15g}"


@attrs.frozen
class ScorePage:
    """Some scores; ``after`` continues behind their last session, None: these were all."""

    scores: list[Score]
    after: Cursor | None


def page_of(store: Store, conditions: ScoreFilter, least: int, after: Cursor | None) -> ScorePage:
    """The scores of the latest sessions, of whole ones until there are at least ``least``."""
    deadline = time.monotonic() + _SECONDS
    scores: list[Score] = []
    if conditions.traces or conditions.sessions:
        for session_id in _sessions_of(store, conditions):
            scores += filter(conditions.fits, _scores_in(store, session_id))
        return ScorePage(scores, None)
    for _ in range(_SESSIONS // _AT_ONCE):
        page = store.sessions(
            SessionQuery(since=_whole(conditions.since), limit=_AT_ONCE, after=after)
        )
        for summary in page.sessions:
            scores += filter(conditions.fits, _scores_in(store, summary.session_id))
            after = (summary.last_active, summary.session_id)
            if len(scores) >= least or time.monotonic() > deadline:
                return ScorePage(scores, after)
        if page.next is None:
            return ScorePage(scores, None)
        after = page.next
    return ScorePage(scores, after)


def _whole(at: float | None) -> int | None:
    return None if at is None else int(at)


def _sessions_of(store: Store, conditions: ScoreFilter) -> list[str]:
    """The sessions in which scores of these traces and sessions can be."""
    session_ids = {record_builder.session_id_for(text)[0] for text in conditions.sessions}
    aliases = {trace_session(trace_of(trace)) for trace in conditions.traces}
    for parts in store.gathered(aliases).values():
        if (elected := first_part(parts, SESSION)) is not None:
            session_ids.add(elected[1][0])
    return sorted(session_ids | aliases)


def _scores_in(store: Store, session_id: str) -> Iterator[Score]:
    """The scores of a session and of its events, the latest first."""
    query = EventQuery(session_id=session_id, limit=_RECORDS, fits=_is_rated)
    scores = [
        score for record in store.events(query).events for score in _scores_of(record, session_id)
    ]
    if scores:
        session = store.record(session_id) or {}
        own, user = _own_id(session, session_id), _user(session)
        for score in sorted(scores, key=lambda score: (-score.at, score.id)):
            yield attrs.evolve(score, session=own, user=user or score.user)


def score_of(store: Store, score_id: str) -> Score | None:
    """The score of this id among those of the latest sessions."""
    page = page_of(store, ScoreFilter(ids=frozenset({score_id})), 1, None)
    return page.scores[0] if page.scores else None


def _is_rated(record: Fields) -> bool:
    return any(isinstance(record.get(place), dict) and record[place] for place in SCORES)


def _scores_of(record: Fields, session_id: str) -> Iterator[Score]:
    metadata = _object(record.get("metadata"))
    otel = _object(metadata.get("otel"))
    is_session = record.get("event_type") == "session"
    trace_id = otel.get("trace_id") or session_id.replace("-", "")
    for place in SCORES:
        for name, value in _object(record.get(place)).items():
            if place == "metrics" and is_measure(name):
                continue
            if not isinstance(value, (bool, int, float, str)):
                continue
            details = _object(metadata.get(f"evaluation.{name}"))
            at = record_builder.moment(details.get("timestamp"))
            kind = str(details.get("subject") or ("session" if is_session else "observation"))
            is_of_trace = kind == "trace"
            yield Score(
                id=str(details.get("id") or record_builder.own_id(str(record["event_id"]), name)),
                name=name,
                value=value,
                type=_type(value, details),
                at=float(record.get("end_time") or record["start_time"]) if at is None else at,
                source=str(details.get("source") or "API"),
                kind=kind,
                trace_id=None if kind == "session" else trace_id,
                span_id=None if is_session or is_of_trace else _span_id(record, otel),
                session=session_id,
                user=_user(record),
                environment=str(metadata.get("environment") or "default"),
                comment=details.get("explanation"),
                metadata=details.get("metadata"),
            )


def _span_id(record: Fields, otel: Fields) -> str:
    return observation_span(str(otel.get("span_id") or record["event_id"]))


def _type(value: float | bool | str, details: Fields) -> str:
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, str):
        return str(details.get("data_type") or "CATEGORICAL")
    return "NUMERIC"


def _own_id(session: Fields, session_id: str) -> str:
    return str(_object(session.get("metadata")).get("session_id") or session_id)


def _user(record: Fields) -> str | None:
    user = _object(record.get("user_properties")).get("user_id")
    return None if user is None else str(user)


def _object(value: Any) -> Fields:
    return value if isinstance(value, dict) else {}
