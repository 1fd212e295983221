"""The records that one destination has not got from a spool, to look at.

From any process. Invariant: it recovers, changes and removes nothing, and holds no lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sessiontrace.model.record import OPEN, Record
from sessiontrace.spool import frame
from sessiontrace.spool.filesystem import OS_FILES, Files
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.recovery.scan import SpoolScan

__all__ = ["pending_records"]


def pending_records(
    directory: Path, consumer: Consumer, files: Files = OS_FILES
) -> Iterator[Record]:
    """What lies beyond the destination's cursor, in order; at last the ends of open sessions."""
    scan = SpoolScan.examine(files, directory, directory.name, [consumer])
    resume = scan.resume[consumer.name]
    for segment in scan.segments:
        if segment.number not in scan.owed[consumer.name]:
            continue
        try:
            raw = segment.read(0, segment.committed)
        except OSError:  # delivered or evicted meanwhile
            continue
        offset = 0
        for line in raw.split(b"\n"):
            offset += len(line) + 1
            record = frame.decode(line, segment.seed)
            if record is None or record.kind == OPEN or (segment.number, offset) <= resume:
                continue
            if frame.routed(record.route, consumer.name.encode()):
                yield record
    yield from scan.ends_for(consumer.name)[max(0, _ends_settled(scan, consumer)) :]


def _ends_settled(scan: SpoolScan, consumer: Consumer) -> int:
    counted = scan.pending[consumer.name] - sum(scan.owed[consumer.name].values())
    return len(scan.ends_for(consumer.name)) - counted
