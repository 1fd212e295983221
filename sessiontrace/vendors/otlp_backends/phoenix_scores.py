"""Scores as Phoenix's annotations of spans and sessions.

No I/O, no clock. Source: Phoenix's REST API, ``/v1/span_annotations`` and
``/v1/session_annotations``, arize-phoenix 20.26. Invariant: an annotation that is sent again, or a
later score of the same name, replaces the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sessiontrace.vendors.otlp.score_requests import Scores
from sessiontrace.vendors.otlp_backends.score_api import (
    NO_CONVERSATION,
    UNKNOWN,
    ScoreAPI,
    conversation_of,
    result_of,
)
from sessiontrace.wire.logs.log_record import LogRecord

__all__ = ["PhoenixScores"]

_REQUEST_SCORES = 500
_SPANS, _SESSIONS = "/v1/span_annotations", "/v1/session_annotations"


class PhoenixScores(ScoreAPI):
    """Annotations. Phoenix waits some minutes for a span that it does not have yet."""

    def bodies(self, scores: Scores) -> Iterator[tuple[str, Any, list[int]]]:
        """Requests of many annotations, those of spans and those of sessions apart."""
        for index, score in scores:
            if conversation_of(score) == UNKNOWN:
                yield NO_CONVERSATION, None, [index]
        for path in (_SPANS, _SESSIONS):
            group = [score for score in scores if _path(score[1]) == path]
            for start in range(0, len(group), _REQUEST_SCORES):
                part = group[start : start + _REQUEST_SCORES]
                data = [_annotation(score) for _, score in part]
                yield path, {"data": data}, [index for index, _ in part]


def _path(score: LogRecord) -> str | None:
    conversation = conversation_of(score)
    if conversation == UNKNOWN:
        return None
    return _SPANS if conversation is None else _SESSIONS


def _annotation(score: LogRecord) -> dict[str, Any]:
    name, value, label, comment = result_of(score)
    result = {"score": value, "label": label, "explanation": comment}
    conversation = conversation_of(score)
    target = {"span_id": score.span_id} if conversation is None else {"session_id": conversation}
    return {
        **target,
        "name": name,
        "annotator_kind": "CODE",
        "identifier": "sessiontrace",
        "result": {key: entry for key, entry in result.items() if entry is not None},
    }
