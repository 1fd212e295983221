"""OTLP log records as the store's records: scores, messages of chats, notes, and events.

Pure functions, no thread owns them. Source of the names: OTel's GenAI conventions, ``events.yaml``.
Invariant: a log record received twice changes nothing, and the order of log records is that of
their times, in whatever order and requests they arrive.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import orjson

from sessiontrace.model.record import EVENT
from sessiontrace.runtime.log import logger
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp import own_spans
from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.server.apis.otlp.assembled.parts import offer_step
from sessiontrace.server.apis.otlp.assembled.trace import Place
from sessiontrace.server.apis.otlp.event_layout import derived_id, fields_of
from sessiontrace.server.apis.otlp.mapping import claim_of
from sessiontrace.server.apis.otlp.span_ids import rated_event_id
from sessiontrace.server.http import RequestRejected
from sessiontrace.store.gathered import CHOICE, GATHERED, LOG, MESSAGE, part_key
from sessiontrace.wire.dialects.coding_agents import (
    call_key,
    is_coding_agent,
    is_progress,
    is_step,
    prompt_of,
)
from sessiontrace.wire.dialects.span_events import event_messages
from sessiontrace.wire.dialects.translation import conventional
from sessiontrace.wire.logs.evaluation_reader import EVALUATION, scores_of
from sessiontrace.wire.message_reader import input_messages, output_messages
from sessiontrace.wire.otlp_signals.received_log import ReceivedLog
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.span_reader import first_text, read_span

__all__ = ["ConvertedLogs", "convert_logs"]

Fields = dict[str, Any]

_DETAILS = "gen_ai.client.inference.operation.details"
_NOTES_MAX = 500  # of one event or session, in one request

NO_PLACE = "log records without a session or a trace"
TOO_DEEP = "log records nested too deeply"
UNREADABLE = "log records that the server cannot read (see its log)"
TOO_MANY = f"log records beyond {_NOTES_MAX} of one span in one request"


@attrs.frozen
class ConvertedLogs:
    """The records of a request, to be placed, and how many log records have none, by reason."""

    assembly: Assembly
    rejected: Counter[str]


_PartsOfEvents = dict[tuple[str, str], tuple[Place, Fields]]
"""What log records say of an event or session, by its id and that of its session."""


def convert_logs(logs: Iterable[ReceivedLog]) -> ConvertedLogs:
    """The records of the log records of one request."""
    assembly = Assembly()
    parts: _PartsOfEvents = {}
    rejected: Counter[str] = Counter()
    for log in logs:
        try:
            claim = claim_of(log.attributes, log.resource)
            if claim is None and log.trace_id is None:
                rejected[NO_PLACE] += 1
                continue
            place = assembly.place(log.trace_id, claim, is_root=False)
            _convert(log, place, assembly, parts, rejected)
        except RequestRejected:
            rejected[TOO_DEEP] += 1
        except Exception:
            rejected[UNREADABLE] += 1
            logger().exception("a log record cannot be read")
    for (event_id, session_id), (place, gathered) in parts.items():
        try:
            change = {GATHERED: gathered}
            assembly.add(record_builder.patch(event_id, session_id, change), place)
        except RequestRejected:
            rejected[TOO_DEEP] += len(gathered)
    return ConvertedLogs(assembly, rejected)


def _convert(
    log: ReceivedLog,
    place: Place,
    assembly: Assembly,
    parts: _PartsOfEvents,
    rejected: Counter[str],
) -> None:
    """Add a log record's records; what belongs to an event that it does not make, to ``parts``."""
    session_id = place.session_id
    event_id = _event_of(log) or session_id
    if log.trace_id is not None and event_id != session_id:
        assembly.add_call(log.trace_id, event_id)
    if log.name == EVALUATION:
        if own_spans.is_own_score(log):
            return
        assembly.add(record_builder.patch(event_id, session_id, scores_of(log.attributes)), place)
        return
    if event_id == session_id and log.name == _DETAILS and is_coding_agent(log.scope, ""):
        if _add_chat(log, place, assembly):
            return
    elif event_id == session_id and log.name and not is_progress(log.name, log.attributes):
        _add_event(log, place, assembly)
        return
    _, gathered = parts.setdefault((event_id, session_id), (place, {}))
    is_said = log.name == _DETAILS and _add_details(log, event_id, place, assembly)
    if event_id != session_id and (messages := _messages(log)):
        gathered.update(messages)
    elif is_said:
        return
    elif len(gathered) >= _NOTES_MAX:
        rejected[TOO_MANY] += 1
    else:
        note = _note(log)
        gathered[part_key(LOG, 0, log.time_ns, _digest(note))] = note


def _event_of(log: ReceivedLog) -> str | None:
    """The event that a log record is about; None where it is about its session."""
    if (event_id := rated_event_id(log.attributes)) is not None:
        return event_id
    if log.trace_id is None or log.span_id is None or is_step(log.scope, log.name):
        return None
    return derived_id(log.trace_id, log.span_id)


# -- messages of a chat ---------------------------------------------------------------------


def _messages(log: ReceivedLog) -> Fields:
    """The messages that an event of the GenAI conventions holds, as parts of its span."""
    if log.name == _DETAILS:
        inputs, outputs = input_messages(log.attributes), output_messages(log.attributes)
    elif log.name == "assistant_response" and is_coding_agent(log.scope, ""):
        answer = conventional(_span_of(log, dict(log.attributes), _digest(None, 32)))
        inputs, outputs = [], output_messages(answer.attributes)
    else:
        inputs, outputs = event_messages(log.name, {**log.attributes, "body": log.body})
    parts: Fields = {}
    for field, messages in ((MESSAGE, inputs), (CHOICE, outputs)):
        for index, message in enumerate(messages):
            tie = f"{index:06d} {_digest(message)}"
            parts[part_key(field, 0, log.time_ns, tie)] = message
    return parts


def _add_details(log: ReceivedLog, event_id: str, place: Place, assembly: Assembly) -> bool:
    """Add the tools that a call's details define; whether the call's span says all else of them.

    By the conventions the details have the attributes of the span, and what is too large for it.
    """
    fields = fields_of(read_span(conventional(_span_of(log, log.attributes, _digest(None, 32)))))
    if tools := (fields.get("config") or {}).get("tools"):
        change = {"config": {"tools": tools}}
        assembly.add(record_builder.patch(event_id, place.session_id, change), place)
    names = set(fields.get("metadata") or ()) - {"otel", "event.name"}
    return not any("." in name for name in names)


def _add_chat(log: ReceivedLog, place: Place, assembly: Assembly) -> bool:
    """Add the chat of a call that is another log record; whether the log record is one's."""
    if (digest := _digest_of_call(log, place)) is None:
        return False
    fields = fields_of(read_span(conventional(_span_of(log, log.attributes, digest))))
    metadata = {k: v for k, v in fields.pop("metadata", {}).items() if k not in _COUNTS}
    metadata.pop("otel", None)
    chat = (fields.get("inputs") or {}).get("chat_history") or []
    if all(message.get("role") == "system" for message in chat):  # no chat, which others have
        fields.pop("inputs", None)
        metadata["instructions"] = [message.get("content") for message in chat] or None
    change = {k: v for k, v in fields.items() if v is not None} | {"metadata": metadata}
    event_id = _digest_id(digest)
    assembly.add(record_builder.patch(event_id, place.session_id, change), place)
    return True


_COUNTS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens", "operation"})
"""What the other log record says better, as it knows thoughts and the cache."""


def _digest_id(digest: str) -> str:
    """The id of the event whose span would have these ids."""
    return derived_id(digest[:32], digest[32:48])


def _digest_of_call(log: ReceivedLog, place: Place) -> str | None:
    """The digest for a call that several log records are about; None for any other."""
    key = call_key(log.scope, log.body, log.attributes)
    return None if key is None else _digest([place.session_id, *key], 32)


# -- notes and events -----------------------------------------------------------------------


def _note(log: ReceivedLog) -> Fields:
    note: Fields = {
        "time": record_builder.iso(_ms(log)) if log.time_ns else None,
        "name": log.name,
        "severity": log.severity,
        "body": log.body,
        "scope": log.scope,
        "attributes": {key: value for key, value in log.attributes.items() if key != "event.name"},
    }
    return {name: value for name, value in note.items() if value not in (None, "", {})}


def _add_event(log: ReceivedLog, place: Place, assembly: Assembly) -> None:
    """Add the event that a log record without a span is, such as an agent's call of a model."""
    at = _ms(log) or record_builder.now_ms()
    duration = _duration_ms(log.attributes)
    attributes = {key: value for key, value in log.attributes.items() if key != "event.name"}
    digest = _digest_of_call(log, place) or _digest(
        [place.session_id, log.time_ns, log.name, log.body, attributes], 32
    )
    parent_id = place.session_id
    if (prompt := prompt_of(log.scope, log.name, log.attributes)) is not None:
        own = _digest([place.session_id, "prompt", prompt[0]], 32)
        if prompt[1]:
            digest = own
        else:
            parent_id = _digest_id(own)
    span = _span_of(log, attributes, digest)
    read = read_span(conventional(span))
    del read.metadata["otel"]
    if log.body not in (None, "", log.name):
        read.metadata.setdefault("body", log.body)
    if log.severity:
        read.metadata["severity"] = log.severity
    fields: Fields = {
        "event_id": derived_id(span.trace_id, span.span_id),
        "session_id": place.session_id,
        "parent_id": parent_id,
        "event_type": "chain" if read.type == "session" else read.type,
        "event_name": read.name,
        "source": first_text(log.resource, "service.name"),
        **record_builder.whole_times(at - duration, at, duration, at),
        **fields_of(read),
        "error": read.error or first_text(log.attributes, "error", "error.message"),
    }
    assembly.add(record_builder.build_record(EVENT, fields), place)
    fields["parent_id"] = None  # it is not the root of a trace, which names the session
    offer_step(place.parts, fields, span.span_id)


def _span_of(log: ReceivedLog, attributes: Fields, digest: str) -> ReceivedSpan:
    """The log record as a span of its name; ``digest``: 64 hexadecimal digits for its ids."""
    return ReceivedSpan(
        trace_id=digest[:32],
        span_id=digest[32:48],
        parent_id=digest[48:],  # none, but it is not the root of a trace
        name=log.name,
        start_ns=log.time_ns,
        end_ns=log.time_ns,
        attributes=attributes,
        resource=log.resource,
        scope=log.scope,
        failed=False,
        message="",
        events=[],
    )


def _ms(log: ReceivedLog) -> int:
    return min(log.time_ns // 1_000_000, _LATEST_MS)


_LATEST_MS = 253_402_300_799_000  # the end of the year 9999, the last that ISO 8601 can write


def _duration_ms(attributes: Mapping[str, Any]) -> float:
    """How long what the log record describes took; numbers may be texts, as in Claude Code's."""
    value = attributes.get("duration_ms")
    try:
        duration = float(value) if isinstance(value, (str, int, float)) else 0.0
    except ValueError:
        return 0.0
    return duration if 0 <= duration < _LATEST_MS else 0.0


def _digest(value: Any, size: int = 8) -> str:
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=size).hexdigest()
