"""OTLP's exporter: records to spans on ``POST .../v1/traces``, and what the replies mean.

No I/O, no clock. How each record is sent:

==========================  =======================================================================
record                      OTLP, by OTel's GenAI conventions
==========================  =======================================================================
start, open                 nothing; the exporter remembers service and user
end of a session            the trace's root span
end of a turn               the root span of a trace of its own
event                       a span; of kind CLIENT for a model, else INTERNAL
update                      a span of no length below its target: "score" or "update"
session_id                  ``session.id``: in a conversation the application's own id, which is
                            ``gen_ai.conversation.id`` too
trace                       the session's 128 bits, in a conversation those of the turn's event;
                            another tracer's where the session continues its trace
event_id, parent_id         span id and parent span id (the low 64 bits); complete in
                            ``sessiontrace.event.id`` and ``sessiontrace.parent.id``
start_time, duration        start in ns, end = start + duration in ns
event_type                  ``gen_ai.operation.name``: chat, embeddings, execute_tool
config, metadata            ``gen_ai.request.*``, ``gen_ai.usage.*``, ``gen_ai.response.*`` by the
                            table in ``wire/semconv.py``; others ``sessiontrace.config.*`` and so on
inputs, outputs             ``gen_ai.input.messages``, ``gen_ai.output.messages`` of a model;
                            ``gen_ai.tool.call.arguments`` and ``.result`` of a tool; else
                            ``input.value``, ``output.value``; all of them JSON texts
error, metadata.error       status ERROR with its message, ``error.type``, an exception event
metrics, feedback           ``sessiontrace.metrics.*``, ``sessiontrace.feedback.*``; scores also
                            as the log event ``gen_ai.evaluation.result`` about the span
user_properties             ``user.id``; the rest ``sessiontrace.user_properties.*``
service, source             the resource's ``service.name``, ``deployment.environment.name``
children_ids                ``sessiontrace.children_ids``, a JSON text
what none of these says     ``sessiontrace.changes``, see ``wire/roundtrip``
==========================  =======================================================================

Invariant: what a backend rejected as a part of a 2xx is never sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sessiontrace.export.protocol import Batch, Delivered, Limits, Outcome, Reply, Request
from sessiontrace.export.request_body import RequestBody
from sessiontrace.model.record import END, UPDATE, Record
from sessiontrace.vendors.otlp import partial_success
from sessiontrace.vendors.otlp.score_requests import ScoreRequests
from sessiontrace.vendors.shared import responses
from sessiontrace.vendors.shared.request_groups import chunks
from sessiontrace.vendors.shared.session_cache import SessionCache
from sessiontrace.vendors.shared.truncate import truncate_record
from sessiontrace.wire.logs.evaluations import (
    evaluations_of,
    holds_only_scores,
    may_have_scores,
)
from sessiontrace.wire.logs.log_record import LogRecord
from sessiontrace.wire.otlp_json import json_items
from sessiontrace.wire.otlp_protobuf import protobuf_items
from sessiontrace.wire.otlp_resource import NO_ATTRIBUTES, Origin
from sessiontrace.wire.span_attributes import DEFAULT_LIMITS, AttributeLimits
from sessiontrace.wire.span_templates.encodings import JSON, PROTOBUF
from sessiontrace.wire.span_templates.span_encoder import SpanEncoder
from sessiontrace.wire.span_writer import Span

__all__ = ["OTLPExporter"]

_REQUEST_MAX = 3_900_000  # a collector takes 4 MiB over gRPC, 20 MiB over HTTP; PostHog's takes 4
_REQUEST_SPANS = 256  # some three milliseconds of work between two breaths of the lane
_SMALL = 64 << 10


class BatchScores(NamedTuple):
    """The scores of a batch: those that spans carry too, and late ones that no span carries."""

    carried: list[tuple[int, LogRecord]]
    late: list[tuple[int, LogRecord]]


class OTLPExporter:
    """Exporter for one OTLP/HTTP endpoint. ``path`` is what follows its transport's base URL.

    ``protobuf``: send protobuf instead of JSON. ``scores``: where scores go besides, behind the
    spans. ``resource``: attributes of the program that every
    resource gets. ``limits``: of a span's attributes. ``translate`` adds attributes
    that the backend reads under names of its own. Remembers service and user of the last 10 000
    sessions.
    """

    limits: Limits = Limits(max_records=4000, max_bytes=3_000_000, max_age_s=1.0, concurrency=4)

    def __init__(
        self,
        path: str = "/v1/traces",
        *,
        protobuf: bool = False,
        resource: Mapping[str, str] = NO_ATTRIBUTES,
        limits: AttributeLimits = DEFAULT_LIMITS,
        translate: Callable[[dict[str, Any]], None] | None = None,
        scores: ScoreRequests | None = None,
    ) -> None:
        self.path = path
        self.protobuf = protobuf
        self._resource = resource
        self._attribute_limits = limits
        self._scores = scores
        encoding = PROTOBUF if protobuf else JSON
        self._spans = SpanEncoder(encoding, SessionCache(), limits, translate)
        self._items, self._separator = (protobuf_items, b"") if protobuf else (json_items, b",")

    @property
    def content_type(self) -> str:
        """What the requests' ``Content-Type`` header must say."""
        return "application/x-protobuf" if self.protobuf else "application/json"

    def encode(self, batch: Batch) -> Iterator[Iterator[Request]]:
        """The spans, which know their parents by id, so their order is free; then the scores."""
        scores = BatchScores([], [])
        yield self._requests(batch, scores)
        if self._scores is not None and scores.carried:
            yield self._scores.requests(scores.carried)
        if self._scores is not None and scores.late:
            yield self._scores.late_requests(scores.late)

    def _requests(self, batch: Batch, scores: BatchScores) -> Iterator[Request]:
        for group in chunks(self._encoded(batch, scores), _REQUEST_SPANS, _REQUEST_MAX):
            spans = [(origin, span) for _, span, origin in group]
            body = RequestBody(self._items(spans, self._resource), self._separator)
            yield Request("POST", self.path, body, tuple([index for index, _, _ in group]))

    def _encoded(self, batch: Batch, scores: BatchScores) -> Iterator[tuple[int, bytes, Origin]]:
        needs_roots = self._scores is not None and self._scores.takes_late_scores
        encode = self._spans.by_template
        for index, record in enumerate(batch.records):
            encoded = None if needs_roots and record.kind == END else encode(record)
            if encoded is None:
                span = self._spans.span(record)
                if span is None or self._takes_scores(index, record, span, scores):
                    continue
                encoded = self._spans.encode_span(span)
            origin, content = encoded
            yield index, content, origin

    def _takes_scores(self, index: int, record: Record, span: Span, scores: BatchScores) -> bool:
        """Collect a record's scores; True where the span has nothing besides."""
        if self._scores is None:
            return False
        if record.kind == END:
            self._scores.learn(span)
        if not may_have_scores(record.body):
            return False
        logs = evaluations_of(record, span, self._attribute_limits.characters)
        is_late = record.kind == UPDATE and self._scores.takes_late_scores
        alone = is_late and bool(logs) and holds_only_scores(record)
        (scores.late if alone else scores.carried).extend((index, log) for log in logs)
        return alone

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """By status and, within a 2xx, by ``partialSuccess``.

        A partial success says how many spans were rejected, not which: the request's last ones
        are counted for them.
        """
        if self._scores is not None and request.path != self.path:
            return self._scores.interpret(request, reply)
        outcome = responses.interpret(request, reply)
        if isinstance(outcome, Delivered):
            rejected, words = partial_success.rejected(
                reply.body, "rejectedSpans", protobuf=self.protobuf
            )
            if rejected > 0:
                count = len(request.records)
                reason = f"{min(rejected, count)} of {count} spans rejected: {words or 'no reason'}"
                return Delivered(dict.fromkeys(request.records[-rejected:], reason))
            return outcome
        return outcome

    def cut(self, record: Record) -> Record | None:
        """The record within 64 KiB."""
        return truncate_record(record, _SMALL)
