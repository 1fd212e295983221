"""PostHog's pure half: records to AI observability events on ``POST /batch/``, and the answers.

No I/O, no clock. What becomes of a record:

================================  =================================================================
record                            PostHog
================================  =================================================================
start, open                       nothing; the exporter remembers the user
end of a session                  ``$ai_trace``
end of a turn (conversation)      ``$ai_span`` below the session's trace
event model                       ``$ai_generation``; with ``config.type`` "embedding" an
                                  ``$ai_embedding``
event tool, chain                 ``$ai_span`` with ``$ai_span_type``
update: metrics, feedback         one ``$ai_metric`` or ``$ai_feedback`` for each entry
update: anything else             one ``$ai_metric`` named "update"; PostHog changes no event
session_id                        ``$ai_trace_id`` and ``$ai_session_id``; also ``$session_id``
                                  when it is a UUIDv7 and the event within 24 h of it
event_id, start_time              ``uuid`` and ``timestamp``, the same at every attempt
parent_id, event_name             ``$ai_parent_id``, ``$ai_span_name``
duration (ms)                     ``$ai_latency`` (s)
inputs, outputs                   ``$ai_input_state``, ``$ai_output_state``; of a model as messages
                                  in ``$ai_input`` and ``$ai_output_choices``
config                            ``$ai_model``, ``$ai_provider``, ``$ai_model_parameters``,
                                  ``$ai_tools``
metadata: tokens, cost            ``$ai_input_tokens``, ``$ai_output_tokens``,
                                  ``$ai_total_cost_usd`` and their kin; all counts in
                                  ``$ai_usage``; ``$ai_cache_reporting_exclusive`` says that the
                                  input includes the cache
metadata: framework, agent_name,  ``$ai_framework``, ``$ai_agent_name``, ``$ai_prompt_name``,
prompt_name, prompt_version,      ``$ai_prompt_version``, ``$ai_base_url``, ``$ai_span_type``
server_address, span_kind
error                             ``$ai_is_error``, ``$ai_error``, ``$ai_error_type``
metadata, metrics, feedback       properties of the same names
user_properties                   ``distinct_id`` (user_id), ``$set``; without a user the session's
                                  id, and no person profile
================================  =================================================================

The project key and ``sent_at`` belong to an attempt, not to a batch: ``stamp`` prepends them when
the transport sends the request. Invariant: no encoded event is over 900 KiB and no request is over
5 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from sessiontrace.export.protocol import Batch, Limits, Outcome, Reply, Request
from sessiontrace.model import payload
from sessiontrace.model.record import Record
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.posthog.event_payload import events_of
from sessiontrace.vendors.shared import responses
from sessiontrace.vendors.shared.request_groups import chunks, join_body
from sessiontrace.vendors.shared.session_cache import SessionCache
from sessiontrace.vendors.shared.truncate import truncate_record

__all__ = ["PATH", "PostHogExporter", "stamp"]

PATH = "/batch/"
_EVENT_MAX = 900 << 10  # above it Kafka, behind PostHog's ingestion, refuses the event
_REQUEST_MAX = (5 << 20) - 4096  # less what `stamp` adds
_REQUEST_EVENTS = 100  # what the official clients send, and two milliseconds of work for us
_CUT_TO = 256 << 10
_SMALL = 64 << 10


class PostHogExporter:
    """Exporter for one PostHog project. It remembers the users of the last 10 000 sessions."""

    limits: Limits = Limits(max_records=4000, max_bytes=4_000_000, max_age_s=1.0, concurrency=8)

    def __init__(self) -> None:
        self._names = SessionCache()

    def encode(self, batch: Batch) -> Iterator[Iterator[Request]]:
        """One stage: requests of up to 100 events and 5 MiB."""
        refused: list[Request] = []
        yield self._requests(batch, refused)
        yield iter(refused)

    def _requests(self, batch: Batch, refused: list[Request]) -> Iterator[Request]:
        for group in chunks(self._encoded(batch, refused), _REQUEST_EVENTS, _REQUEST_MAX):
            body = join_body(b'{"batch":[', [encoded for _, encoded in group], b"]}")
            yield Request("POST", PATH, body, tuple(dict.fromkeys(index for index, _ in group)))

    def _encoded(self, batch: Batch, refused: list[Request]) -> Iterator[tuple[int, bytes]]:
        for index, record in enumerate(batch.records):
            encodings = [payload.compact_json(event) for event in events_of(record, self._names)]
            if any(len(encoding) > _EVENT_MAX for encoding in encodings):
                smaller = truncate_record(record, _CUT_TO) or record
                encodings = [
                    payload.compact_json(event) for event in events_of(smaller, self._names)
                ]
            if any(len(encoding) > _EVENT_MAX for encoding in encodings):
                refused.append(responses.refused("over 900 KiB, even cut", index))
                continue
            for encoding in encodings:
                yield index, encoding

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """By status. One bad event makes PostHog refuse a whole batch with 400: Invalid."""
        return responses.interpret(request, reply)

    def cut(self, record: Record) -> Record | None:
        """The record within 64 KiB."""
        return truncate_record(record, _SMALL)


def stamp(body: bytes, key: Secret, now_ms: int) -> bytes:
    """A request's body, or its beginning, with the project key and the time of this attempt.

    PostHog compares its clock with ``sent_at``, so a spooled batch must carry the time of this
    attempt.
    """
    head = orjson.dumps({"api_key": key.reveal(), "sent_at": payload.rfc3339(now_ms)})
    return b"".join((head[:-1], b",", memoryview(body)[1:]))
