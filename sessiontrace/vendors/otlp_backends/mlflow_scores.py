"""Scores as MLflow's assessments of traces, spans and sessions.

No I/O, no clock. Source: MLflow's REST API, ``POST /api/3.0/mlflow/traces/{id}/assessments``, of
mlflow 3.17. MLflow makes the id of an assessment, so a request that is sent again adds another one.
Invariant: an assessment of a session belongs to one of its traces.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from sessiontrace.model.lru_cache import LruCache
from sessiontrace.vendors.otlp.score_requests import Scores
from sessiontrace.vendors.otlp_backends.score_api import (
    NO_CONVERSATION,
    ScoreAPI,
    conversation_of,
    result_of,
)
from sessiontrace.wire.logs.log_record import LogRecord
from sessiontrace.wire.span_writer import Span

__all__ = ["MLflowScores"]

_SESSIONS = 10_000
_SESSION = "mlflow.trace.session"


class MLflowScores(ScoreAPI):
    """Assessments. It remembers a trace of each of the last 10 000 conversations."""

    def __init__(self) -> None:
        super().__init__()
        self._traces: LruCache[str, str] = LruCache(_SESSIONS)

    def learn(self, root: Span) -> None:
        """Remember the first trace of a conversation."""
        conversation = root.attributes.get("gen_ai.conversation.id")
        if isinstance(conversation, str) and self._traces.get(conversation) is None:
            self._traces.put(conversation, root.trace_id)

    def bodies(self, scores: Scores) -> Iterator[tuple[str, Any, list[int]]]:
        """A request for each score: MLflow takes one at a time."""
        for index, score in scores:
            trace_id: str | None = score.trace_id
            if (conversation := conversation_of(score)) is not None:
                trace_id = self._traces.get(conversation)
            if trace_id is None:
                yield NO_CONVERSATION, None, [index]
            else:
                path = f"/api/3.0/mlflow/traces/tr-{trace_id}/assessments"
                yield path, {"assessment": _assessment(score, trace_id, conversation)}, [index]


def _assessment(score: LogRecord, trace_id: str, conversation: str | None) -> dict[str, Any]:
    name, value, label, comment = result_of(score)
    time = datetime.datetime.fromtimestamp(score.at_ns / 1e9, datetime.timezone.utc)
    assessment: dict[str, Any] = {
        "assessment_name": name,
        "trace_id": f"tr-{trace_id}",
        "source": {"source_type": "CODE", "source_id": "sessiontrace"},
        "create_time": time.isoformat().replace("+00:00", "Z"),
        "last_update_time": time.isoformat().replace("+00:00", "Z"),
        "feedback": {"value": _value(value, label)},
    }
    if comment is not None:
        assessment["rationale"] = comment
    if conversation is not None:
        assessment["metadata"] = {_SESSION: conversation}
    elif not trace_id.endswith(score.span_id):  # of a step; the root's is the trace's
        assessment["span_id"] = score.span_id
    return assessment


def _value(value: float | None, label: str | None) -> float | str | bool | None:
    if value is None:
        return label
    return label == "true" if label in ("true", "false") else value
