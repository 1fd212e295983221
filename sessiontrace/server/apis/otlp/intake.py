"""The three signals of OTLP over the store, whichever protocol and encoding they came in.

Runs on the server's loop; the writer thread reads the bodies. Invariant: the answer says that
something is stored once it is on the disk, and each span, log record and data point that is not
stored is counted under a reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs

from sessiontrace.server.apis.otlp import mapping
from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.server.apis.otlp.json_body import decode_request
from sessiontrace.server.apis.otlp.log_records import convert_logs
from sessiontrace.server.http import RequestRejected
from sessiontrace.server.intake_counts import IntakeCounts
from sessiontrace.server.store_changes import Change, Reading
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store.protocol import Store
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf
from sessiontrace.wire.otlp_signals.log_reader import logs_from_json, logs_from_protobuf
from sessiontrace.wire.otlp_signals.metric_points import points_from_json, points_from_protobuf
from sessiontrace.wire.protobuf import TooManyFieldsError
from sessiontrace.wire.received_span import UnreadableRequestError

__all__ = ["Intake", "Outcome"]

T = TypeVar("T")

_NOT_KEPT = "metric data points: sessions have no metrics of their own"


@attrs.frozen
class Outcome:
    """What became of one request. ``field``: the name of the count of rejected items in JSON.

    ``event_ids``: of the events that the request described.
    """

    field: str
    rejected: Counter[str]
    event_ids: list[str] = attrs.field(factory=list)

    @property
    def count(self) -> int:
        """How many items were rejected."""
        return sum(self.rejected.values())

    @property
    def reason(self) -> str:
        """Why, for the sender."""
        return ", ".join(f"{count} {reason}" for reason, count in self.rejected.items())


class Intake:
    """Takes the requests of one server. ``counts``: of what it took."""

    def __init__(self, writer: StoreWriter, counts: IntakeCounts) -> None:
        self._writer = writer
        self._counts = counts

    async def traces(self, body: bytes, binary: bool) -> Outcome:
        """Store the spans of an ``ExportTraceServiceRequest``."""

        def read() -> Reading[tuple[int, Outcome]]:
            spans, invalid = _read(body, binary, from_protobuf, from_json)
            converted = mapping.convert(spans)
            outcome = Outcome("rejectedSpans", converted.reasons, converted.event_ids)
            if invalid:
                outcome.rejected["spans without ids"] += invalid
            return _reading(converted.assembly, (len(spans) + invalid, outcome))

        count, outcome = await self._writer.take(read, len(body))
        return self._counted("spans", count, outcome)

    async def write(
        self, assembly: Assembly, signal: str, received: int, problems: Sequence[str]
    ) -> None:
        """Write what another API took. ``problems``: why each of the others is not stored."""
        size = sum(len(record.body) for record in assembly.records)
        await self._writer.take(lambda: _reading(assembly, None), size)
        self._counted(signal, received, Outcome(signal, Counter(problems)))

    async def logs(self, body: bytes, binary: bool) -> Outcome:
        """Store the log records of an ``ExportLogsServiceRequest``."""

        def read() -> Reading[tuple[int, Outcome]]:
            logs, invalid = _read(body, binary, logs_from_protobuf, logs_from_json)
            converted = convert_logs(logs)
            if invalid:
                converted.rejected["log records that are not objects"] += invalid
            outcome = Outcome("rejectedLogRecords", converted.rejected)
            return _reading(converted.assembly, (len(logs) + invalid, outcome))

        count, outcome = await self._writer.take(read, len(body))
        return self._counted("log_records", count, outcome)

    async def metrics(self, body: bytes, binary: bool) -> Outcome:
        """Count the data points of an ``ExportMetricsServiceRequest``, which no session shows.

        The sender can do nothing about it, so the answer does not call them rejected.
        """
        count = await asyncio.to_thread(_read, body, binary, points_from_protobuf, points_from_json)
        self._counts.not_stored[_NOT_KEPT] += count
        return Outcome("rejectedDataPoints", Counter())

    def _counted(self, signal: str, received: int, outcome: Outcome) -> Outcome:
        self._counts.stored[signal] += received - outcome.count
        self._counts.not_stored.update(outcome.rejected)
        return outcome


def _reading(assembly: Assembly, answer: T) -> Reading[T]:
    """The request that ``assembly`` holds, whose sender gets ``answer``."""
    if assembly.is_empty:
        return Reading(lambda store: (Change(), answer))

    def plan(store: Store) -> tuple[Change, T]:
        return assembly.plan(store), answer

    return Reading(plan, assembly.touches, len(assembly.records), assembly.settle)


def _read(
    body: bytes,
    binary: bool,
    protobuf_reader: Callable[[bytes], T],
    json_reader: Callable[[Any], T],
) -> T:
    """What a body holds, or ``RequestRejected``."""
    try:
        if not binary:
            return json_reader(decode_request(body))
        return protobuf_reader(body)
    except TooManyFieldsError as error:
        raise RequestRejected(
            413, "the request has more fields than the server reads at once; split it"
        ) from error
    except UnreadableRequestError as error:
        raise RequestRejected(400, str(error)) from error
