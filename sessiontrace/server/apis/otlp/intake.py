"""The three signals of OTLP over the store, whichever protocol and encoding they came in.

Runs on the server's loop; the writer thread reads the bodies, or ``reader_process`` does.
Invariant: the answer says that something is stored once it is on the disk, and each span, log
record and data point that is not stored is counted under a reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import attrs

from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.server.apis.otlp.log_records import convert_logs
from sessiontrace.server.apis.otlp.reader_process import ReaderProcess
from sessiontrace.server.apis.otlp.trace_request import read_body, read_traces, unpacked
from sessiontrace.server.intake_counts import IntakeCounts
from sessiontrace.server.store_changes import Change, Reading
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store.protocol import Store
from sessiontrace.wire.otlp_signals.log_reader import logs_from_json, logs_from_protobuf
from sessiontrace.wire.otlp_signals.metric_points import points_from_json, points_from_protobuf

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
        self._reader_process = ReaderProcess()

    def close(self) -> None:
        """End the process that reads large requests."""
        self._reader_process.close()

    async def traces(self, body: bytes, binary: bool) -> Outcome:
        """Store the spans of an ``ExportTraceServiceRequest``."""

        answer = await self._reader_process.read(body) if binary else None

        def read() -> Reading[tuple[int, Outcome]]:
            request = read_traces(body, binary) if answer is None else unpacked(answer)
            converted = request.converted
            outcome = Outcome("rejectedSpans", converted.reasons, converted.event_ids)
            return _reading(converted.assembly, (request.received, outcome))

        count, outcome = await self._writer.take(read, len(body if answer is None else answer))
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
            logs, invalid = read_body(body, binary, logs_from_protobuf, logs_from_json)
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
        count = await asyncio.to_thread(
            read_body, body, binary, points_from_protobuf, points_from_json
        )
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
