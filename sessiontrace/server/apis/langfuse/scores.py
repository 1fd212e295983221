"""Langfuse's scores as the scores of an event, a trace or a session.

Pure functions, no thread owns them. Source: ``CreateScoreRequest`` in Langfuse's API. Invariant: a
score that cannot be stored costs no other one, and its sender gets the reason.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.model.fields import is_measure
from sessiontrace.server import record_builder
from sessiontrace.server.apis.langfuse.ids import observation_span, trace_of
from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.server.apis.otlp.assembled.trace import Claim
from sessiontrace.server.apis.otlp.event_layout import derived_id
from sessiontrace.server.http import RequestRejected

__all__ = ["add_score"]

_ID_MAX = 512


def add_score(assembly: Assembly, body: Any) -> str:
    """Add one score; returns its id.

    Raises ``RequestRejected`` with the reason where it cannot be stored.
    """
    if not isinstance(body, dict):
        raise RequestRejected(400, "a score is an object")
    name = _text(body, "name")
    if name is None:
        raise RequestRejected(400, "the score has no name")
    own = _text(body, "id")
    trace_id, observation = _text(body, "traceId"), _text(body, "observationId")
    if trace_id is not None:
        trace = trace_of(trace_id)
        place = assembly.place(trace, None, is_root=False)
        if observation is None:
            own = own or record_builder.own_id(trace, name)
            details = {"id": own, "subject": "trace"}
            assembly.rate(trace, _order(body, name), _changes(name, body, details))
            return own
        event_id = derived_id(trace, observation_span(observation))
        changes = _changes(name, body, {"id": own})
        assembly.add(record_builder.patch(event_id, place.session_id, changes), place)
        assembly.add_call(trace, event_id)
        return own or record_builder.own_id(event_id, name)
    session = _text(body, "sessionId")
    if session is None:
        raise RequestRejected(
            400, "the score names no trace and no session; runs of data sets are not kept here"
        )
    session_id = record_builder.session_id_for(session)[0]
    place = assembly.place(None, Claim(session_id, session, 0, is_own=True), is_root=False)
    changes = _changes(name, body, {"id": own})
    assembly.add(record_builder.patch(session_id, session_id, changes), place)
    return own or record_builder.own_id(session_id, name)


def _changes(name: str, body: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    value, data_type = body.get("value"), str(body.get("dataType") or "").upper()
    if isinstance(value, bool) or (data_type == "BOOLEAN" and value in (0, 1)):
        value = bool(value)
    elif record_builder.number(value) is None and not (isinstance(value, str) and value):
        raise RequestRejected(
            400, f"the value of the score {name[:50]!r} is neither a number nor a text"
        )
    bucket = "feedback" if isinstance(value, str) or is_measure(name) else "metrics"
    changes: dict[str, Any] = {bucket: {name: value}}
    details = {
        **stated,
        "timestamp": body.get("timestamp"),
        "data_type": data_type if data_type in ("TEXT", "CORRECTION") else None,
        "explanation": body.get("comment"),
        "metadata": body.get("metadata"),
        "source": body.get("source"),
    }
    if details := {key: detail for key, detail in details.items() if detail not in (None, {}, "")}:
        changes["metadata"] = {f"evaluation.{name}": details}
    record_builder.encode_checked(changes)
    return changes


def _order(body: dict[str, Any], name: str) -> tuple[int, int, str]:
    """Where a score of a trace is among others: by its time, then by its id."""
    at = record_builder.moment(body.get("timestamp")) or 0
    own = _text(body, "id") or name
    return 0, max(0, int(at * 1_000_000)), own.replace(" ", "_")


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _ID_MAX:
        raise RequestRejected(400, f"{name} must be a text of at most {_ID_MAX} characters")
    return value
