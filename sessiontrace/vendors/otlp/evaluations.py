"""The requests that carry scores to ``/v1/logs``, and what the replies to them mean.

No I/O, no clock; an exporter has one where its destination takes log events. The spans carry the
same scores as attributes, and went first. Invariant: whatever the backend answers here, its spans
do not wait: a score that it does not take as an event is counted as omitted, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sessiontrace.export.protocol import Delivered, Outcome, Reply, Request, Retry, Settled
from sessiontrace.export.request_body import RequestBody
from sessiontrace.vendors.otlp import partial_success
from sessiontrace.vendors.shared import responses
from sessiontrace.vendors.shared.request_groups import chunks
from sessiontrace.wire.logs.log_record import LogRecord, json_log, json_log_items, protobuf_log
from sessiontrace.wire.otlp_protobuf import protobuf_item, protobuf_items
from sessiontrace.wire.span_writer import Span

__all__ = ["LOGS_PATH", "EvaluationRequests"]

LOGS_PATH = "/v1/logs"
"""The path of these requests, for exporters and transports; the transport knows the address."""

_REQUEST_LOGS = 1024
_REQUEST_MAX = 1_000_000
_TRIES = 5  # that fail in a row, before spans go on without their scores' events
_WAIT_MAX_S = 10.0  # that the backend may ask for, as spans wait with it
_NO_PLACE = frozenset({404, 405, 415, 501})
_ADVICE = "spans have them as attributes; evaluations=False or OTEL_LOGS_EXPORTER=none sends none"


class EvaluationRequests:
    """The requests of one exporter. ``protobuf``: in protobuf instead of JSON. ``path``: where to.

    Remembers that the backend has no such endpoint: it is asked once in a process.
    """

    takes_late_scores = False

    def __init__(
        self, resource: Mapping[str, str], *, protobuf: bool, path: str = LOGS_PATH
    ) -> None:
        self._path = path
        self._resource = resource
        self._protobuf = protobuf
        self._refusal = ""
        self._failures = 0

    def learn(self, root: Span) -> None:
        """Nothing: an event names its span."""

    def late_requests(self, logs: Sequence[tuple[int, LogRecord]]) -> Iterator[Request]:
        """As for all scores."""
        return self.requests(logs)

    def requests(self, logs: Sequence[tuple[int, LogRecord]]) -> Iterator[Request]:
        """Requests for these events, each with the index of its record; ``note``: their number."""
        if self._refusal:
            yield self._request(responses.NONE, RequestBody(()), [index for index, _ in logs])
            return
        encode = protobuf_log if self._protobuf else json_log
        encoded = [(place, encode(log)) for place, (_, log) in enumerate(logs)]
        for group in chunks(encoded, _REQUEST_LOGS, _REQUEST_MAX):
            indices = [logs[place][0] for place, _ in group]
            items = [(logs[place][1].origin, content) for place, content in group]
            if self._protobuf:
                framed = [(origin, protobuf_item(content)) for origin, content in items]
                body = RequestBody(protobuf_items(framed, self._resource))
            else:
                body = RequestBody(json_log_items(items, self._resource), b",")
            yield self._request("POST", body, indices)

    def _request(self, method: str, body: RequestBody, indices: list[int]) -> Request:
        records = tuple(dict.fromkeys(indices))
        return Request(method, self._path, body, records, (str(len(indices)),))

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """What a reply means; ``Retry`` at most a few times in a row, and never a rejection."""
        if request.method == responses.NONE:
            return self._omitted(request, self._refusal)
        outcome = responses.interpret(request, reply)
        if isinstance(outcome, Delivered):
            self._failures = 0
            rejected, words = partial_success.rejected(
                reply.body, "rejectedLogRecords", protobuf=self._protobuf
            )
            return self._omitted(request, words, rejected) if rejected > 0 else Settled()
        if isinstance(outcome, Retry):
            self._failures += 1
            if self._failures < _TRIES and (outcome.after or 0.0) <= _WAIT_MAX_S:
                return outcome
        reason = getattr(outcome, "reason", "")
        if reply.status in _NO_PLACE:
            self._refusal = reason
        return self._omitted(request, reason)

    def _omitted(self, request: Request, reason: str, count: int | None = None) -> Settled:
        (number,) = request.note
        count = int(number) if count is None else min(count, int(number))
        where = f"{self._path} does not take scores ({reason or 'no reason'})"
        return Settled(count, f"{where}; {_ADVICE}")
