"""What the score APIs of OTLP backends have in common: requests in JSON, and replies.

No I/O, no clock. A score that a span carries too is left out and counted where the API does not
take it; a late score is carried by its request alone, and rejected then, with the reason.
Invariant: spans do not wait for long where the API fails and the spans' endpoint does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from sessiontrace.export.protocol import (
    Blocked,
    Delivered,
    Invalid,
    Outcome,
    Rejected,
    Reply,
    Request,
    Retry,
    Settled,
)
from sessiontrace.model.ids import session_uuid
from sessiontrace.vendors.otlp.score_requests import Scores
from sessiontrace.vendors.shared import responses
from sessiontrace.wire.logs.log_record import LogRecord
from sessiontrace.wire.span_writer import Span

__all__ = ["NO_CONVERSATION", "UNKNOWN", "ScoreAPI", "conversation_of", "result_of"]

UNKNOWN = ""
"""A conversation whose id, as the application gave it, this process does not know."""

NO_CONVERSATION = (
    "this process has sent no turn of the conversation, so the backend's id of it is not known; "
    "score it in the process that serves it, or score a step by event_id="
)
"""The reason why such a score is rejected."""

_LATE = "late"
_VERSION = 14  # the place of a UUID's version
_TRIES = 5  # that fail in a row, before spans go on without their scores


class ScoreAPI:
    """The score requests of one exporter; a backend's class has ``bodies``."""

    takes_late_scores = True

    def __init__(self) -> None:
        self._failures = 0

    def learn(self, root: Span) -> None:
        """Nothing, unless the API needs a trace's id where a score names none."""

    def bodies(self, scores: Scores) -> Iterator[tuple[str, Any, list[int]]]:
        """Path, JSON body and indices of the records, for each request; a body of None: no place.

        The path is the reason then.
        """
        raise NotImplementedError

    def requests(self, scores: Scores) -> Iterator[Request]:
        """Requests for scores that spans carry too."""
        return self._requests(scores, ())

    def late_requests(self, scores: Scores) -> Iterator[Request]:
        """Requests for late scores."""
        return self._requests(scores, (_LATE,))

    def _requests(self, scores: Scores, note: tuple[str, ...]) -> Iterator[Request]:
        for path, body, indices in self.bodies(scores):
            method = responses.NONE if body is None else "POST"
            content = b"" if body is None else orjson.dumps(body)
            yield Request(method, path, content, tuple(dict.fromkeys(indices)), note)

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """By status; whatever is not about the connection ends the request."""
        outcome = responses.interpret(request, reply)
        is_late = request.note == (_LATE,)
        if isinstance(outcome, Delivered):
            self._failures = 0
            return outcome if is_late else Settled()
        if isinstance(outcome, Retry):
            self._failures += 1
            if is_late or self._failures < _TRIES:
                return outcome
        if isinstance(outcome, Rejected):
            return outcome if is_late else Settled(len(request.records), request.path)
        reason = f"the score: {getattr(outcome, 'reason', '')}"
        if is_late and (isinstance(outcome, Invalid) or reply.status in (404, 405, 501)):
            return Rejected(dict.fromkeys(request.records, reason))
        if is_late and isinstance(outcome, Blocked):
            return outcome
        return Settled(len(request.records), reason)


def result_of(score: LogRecord) -> tuple[str, float | None, str | None, str | None]:
    """Name, value, label and comment of a score."""
    attributes = score.attributes
    value = attributes.get("gen_ai.evaluation.score.value")
    return (
        str(attributes["gen_ai.evaluation.name"]),
        value if isinstance(value, float) else None,
        _text(attributes.get("gen_ai.evaluation.score.label")),
        _text(attributes.get("gen_ai.evaluation.explanation")),
    )


def conversation_of(score: LogRecord) -> str | None:
    """The conversation that a score is about as a whole; None for a score of a step or turn.

    Where this process has seen nothing of the session, its UUID decides: only ids of our own, in
    version 7, are those of sessions that have a span. ``UNKNOWN``: the application's own id cannot
    be had from the UUID that was made of it.
    """
    target = score.attributes.get("sessiontrace.event.id")
    conversation = score.attributes.get("gen_ai.conversation.id")
    if isinstance(conversation, str):
        return conversation if target == session_uuid(conversation) else None
    if not isinstance(target, str) or target != score.attributes.get("session.id"):
        return None
    version = target[_VERSION]
    return UNKNOWN if version == "5" else None if version == "7" else target


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
