"""The scores of a record as OTel's event ``gen_ai.evaluation.result``, about the record's span.

Pure functions, no thread owns them. Source: the GenAI conventions' events, version 0.1.0. A number
is the score's value, a text its label; a boolean is both. Invariant: the identity of an event,
``log.record.uid``, follows from the score alone, so that a backend may leave out a repeated one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sessiontrace.model import payload
from sessiontrace.model.fields import is_measure
from sessiontrace.model.ids import TRACE_ID
from sessiontrace.model.record import UPDATE, Record
from sessiontrace.wire.logs.log_record import LogRecord
from sessiontrace.wire.span_content import Value
from sessiontrace.wire.span_writer import Span

__all__ = ["evaluations_of", "holds_only_scores", "may_have_scores"]

_NAME = "gen_ai.evaluation.result"
_SIGNS = (b'"metrics":{', b'"feedback":{')
_COMMENT = "_comment"
_OF_SCORES = frozenset({"event_id", "session_id", "metrics", "feedback", "metadata"})
_CONTEXT = ("session.id", "gen_ai.conversation.id", "user.id")
_CUT = ("gen_ai.evaluation.score.label", "gen_ai.evaluation.explanation")


def may_have_scores(body: bytes) -> bool:
    """Whether it is worth decoding a record's body for scores."""
    return _SIGNS[0] in body or _SIGNS[1] in body


def holds_only_scores(record: Record) -> bool:
    """Whether an update holds nothing but scores and their comments."""
    event = payload.fields(record)
    metadata = payload.bucket(event, "metadata")
    return (
        event.keys() <= _OF_SCORES
        and metadata.keys() <= {TRACE_ID}
        and not any(is_measure(name) for name in payload.bucket(event, "metrics"))
    )


def evaluations_of(record: Record, span: Span, longest: int | None = None) -> list[LogRecord]:
    """An event for each score of a record; ``span`` is that of the record.

    ``longest``: the most characters of a text.
    """
    event = payload.fields(record)
    is_late = record.kind == UPDATE
    context = _context(event, span)
    source = record.body if is_late else event["event_id"].encode()
    return [
        LogRecord(
            origin=span.origin,
            trace_id=span.trace_id,
            span_id=span.parent_id if is_late and span.parent_id else span.span_id,
            at_ns=span.end_ns,
            event_name=_NAME,
            attributes={
                "gen_ai.evaluation.name": name,
                **_cut(score, longest),
                **context,
                "log.record.uid": payload.stable_uuid(source, f"evaluation {name}"),
            },
        )
        for name, score in _scores(event)
    ]


def _context(event: dict[str, Any], span: Span) -> dict[str, Value]:
    """What the score is about, besides the span."""
    attributes = {name: span.attributes[name] for name in _CONTEXT if name in span.attributes}
    response_id = payload.bucket(event, "metadata").get("response_id")
    if isinstance(response_id, str) and response_id:
        attributes["gen_ai.response.id"] = response_id
    return {**attributes, "sessiontrace.event.id": event["event_id"]}


def _scores(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Value]]]:
    """The scores by name, each as the attributes that say how it turned out."""
    metrics, feedback = payload.bucket(event, "metrics"), payload.bucket(event, "feedback")
    measured = {name: value for name, value in metrics.items() if not is_measure(name)}
    for name, value in {**feedback, **measured}.items():
        scored = name.removesuffix(_COMMENT)
        is_comment = scored != name and (scored in metrics or scored in feedback)
        if value is None or is_comment:
            continue
        attributes = _result(value)
        if isinstance(comment := feedback.get(name + _COMMENT), str):
            attributes["gen_ai.evaluation.explanation"] = comment
        yield name, attributes


def _result(value: Any) -> dict[str, Value]:
    attributes: dict[str, Value] = {}
    number = float(value) if isinstance(value, bool) else payload.number(value)
    if number is not None and math.isfinite(number):
        attributes["gen_ai.evaluation.score.value"] = float(number)
    if isinstance(value, (bool, str)):
        attributes["gen_ai.evaluation.score.label"] = payload.text(value)
    elif number is None:
        attributes["gen_ai.evaluation.explanation"] = payload.json_text(value)
    return attributes


def _cut(attributes: dict[str, Value], longest: int | None) -> dict[str, Value]:
    if longest is None:
        return attributes
    return {
        name: value[:longest] if name in _CUT and isinstance(value, str) else value
        for name, value in attributes.items()
    }
