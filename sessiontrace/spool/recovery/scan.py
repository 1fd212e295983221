"""What a dead process left in a spool, read without trusting any of it.

Called by recovery, by ``spool status`` and by the quota, on files that no process writes any more
(or, for a status, that a living process is writing: then the counts are those of a moment).
Invariant: nothing here creates, changes or removes a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
import orjson

from sessiontrace.model.record import (
    END,
    KINDS,
    OPEN,
    START,
    Record,
    abandoned_end,
    event_id_of,
    session_id_of,
)
from sessiontrace.runtime.throttle import throttled
from sessiontrace.spool import frame
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.cursor import read_cursor
from sessiontrace.spool.filesystem import Files, read_range
from sessiontrace.spool.frame import FORMAT, Consumer, Header, Position
from sessiontrace.spool.segment import Segment

__all__ = ["AFTER_ALL", "SpoolScan", "read_headers", "resume_at", "used_bytes"]

AFTER_ALL = 99_999_999
"""The segment number of positions behind the last segment, among the ends of open sessions."""

_WINDOW = 1 << 18
_LONGEST_HEADER = 1 << 18

See = Callable[[int, int, Record], None]


@attrs.define
class SpoolScan:
    """The segments of one spool and what is still owed from them."""

    segments: list[Segment] = attrs.field(factory=list)
    ends: list[Record] = attrs.field(factory=list)
    damaged: int = 0
    pending: dict[str, int] = attrs.field(factory=dict)
    resume: dict[str, Position] = attrs.field(factory=dict)
    owed: dict[str, dict[int, int]] = attrs.field(factory=dict)
    """By consumer and segment: the records beyond the cursor."""

    @classmethod
    def examine(
        cls, files: Files, directory: Path, spool_id: str, consumers: Iterable[Consumer]
    ) -> SpoolScan:
        """Read every frame of a spool once: count what each consumer has not settled."""
        scan = cls()
        segment_files = directories.segments(files, directory)
        consumers = list(consumers)
        for consumer in consumers:
            cursor = read_cursor(files, directory, spool_id, consumer)
            scan.resume[consumer.name] = resume_at(files, segment_files, cursor)
        counts: dict[str, dict[int, int]] = {consumer.name: {} for consumer in consumers}
        scan.owed = counts
        routes = [(name, name.encode(), scan.resume[name]) for name in counts]
        last: Segment | None = None

        def see(number: int, offset: int, record: Record) -> None:
            if record.kind == OPEN:
                return
            for name, route, resume in routes:
                if (number, offset) > resume and frame.routed(record.route, route):
                    counts[name][number] = counts[name].get(number, 0) + 1

        for number, path, _ in segment_files:
            segment, has_records, damaged = _scan(files, path, spool_id, number, see)
            scan.segments.append(segment)
            scan.damaged += damaged
            # A segment that got no record of its own yet may lack repeats that its maker was
            # still writing; the segment before it has the same ones, all of them.
            if has_records or (last is None and segment.first > segment.start):
                last = segment
        if last is not None:
            scan.ends = _abandoned(last)
        for name in counts:
            ends = len(scan.ends_for(name))
            resume = scan.resume[name]
            if resume.segment == AFTER_ALL:
                resume = Position(AFTER_ALL, resume.offset if resume.offset <= ends else 0)
                scan.resume[name] = resume
                ends -= resume.offset
            scan.pending[name] = sum(counts[name].values()) + ends
        return scan

    def has_unknown_kinds(self) -> bool:
        """Whether a newer version wrote records of kinds that this one cannot send."""
        return any(
            counter.kind not in KINDS
            for segment in self.segments
            for counter in segment.counters.values()
        )

    def ends_for(self, name: str) -> list[Record]:
        """The ends of sessions that the dead process left open, as this destination gets them."""
        return [end for end in self.ends if frame.routed(end.route, name.encode())]


def read_headers(files: Files, directory: Path, spool_id: str) -> tuple[Header | None, bool]:
    """The first sound header of a spool, and whether all of its segments can be understood."""
    first: Header | None = None
    for number, path, _ in directories.segments(files, directory):
        try:
            line = read_range(files, path, 0, _LONGEST_HEADER).split(b"\n", 1)[0]
        except OSError:
            continue
        header = frame.decode_header(line)
        if header is None:
            continue
        if header.format != FORMAT:
            return None, False
        if first is None and (header.spool, header.segment) == (spool_id, number):
            first = header
    return first, True


def resume_at(
    files: Files, segment_files: list[tuple[int, Path, int]], position: Position
) -> Position:
    """The cursor's position if it is at the end of a line of a segment, else the beginning."""
    beginning = Position(0, 0)
    if position.segment == AFTER_ALL:
        return position
    if not segment_files or position.segment > segment_files[-1][0]:
        return beginning
    for number, path, size in segment_files:
        if number == position.segment:
            if not 0 < position.offset <= size:
                return beginning
            try:
                before = read_range(files, path, position.offset - 1, position.offset)
            except OSError:
                return beginning
            return position if before == b"\n" else beginning
    return position


def used_bytes(files: Files, path: Path, size: int) -> int:
    """How many bytes of a segment file are frames: those have no zero byte, and zeros follow."""
    try:
        fd = files.open(path)
    except OSError:
        return 0
    low, high = 0, size
    try:
        if size and files.pread(fd, 1, size - 1) not in {b"\0", b""}:
            return size
        while low < high:
            middle = (low + high) // 2
            if files.pread(fd, 1, middle) in {b"\0", b""}:
                high = middle
            else:
                low = middle + 1
    except OSError:
        return size
    finally:
        files.close(fd)
    return low


def _scan(
    files: Files, path: Path, spool_id: str, number: int, see: See
) -> tuple[Segment, bool, int]:
    """One pass over a segment's frames: the segment, whether it has records of its own, damage."""
    seed = frame.seed(spool_id, number)
    start = first = offset = damaged = 0
    has_records = False
    counts: dict[tuple[bytes, bytes], int] = {}
    partial_line = b""
    for raw in _windows(files, path):
        lines = (partial_line + raw).split(b"\n")
        partial_line = lines.pop()
        for line in throttled(lines):
            offset += len(line) + 1
            if not start:
                start = first = offset
                damaged += frame.decode_header(line) is None
                continue
            record = frame.decode(line, seed)
            if record is None:
                damaged += frame.damage(line)
                continue
            if record.kind != OPEN:
                has_records = True
            elif not has_records:
                first = offset
            counts[record[:2]] = counts.get(record[:2], 0) + 1
            see(number, offset, record)
    damaged += bool(partial_line.strip(b"\0"))
    segment = Segment.existing(files, path, spool_id, number, offset)
    segment.start, segment.first = start, first
    for (kind, route), count in counts.items():
        segment.counter(frame.head(kind, route)).count = count
    return segment, has_records, damaged


def _windows(files: Files, path: Path) -> Iterable[bytes]:
    offset = 0
    while True:
        try:
            raw = read_range(files, path, offset, offset + _WINDOW)
        except OSError:
            return
        if not raw:
            return
        yield raw
        offset += len(raw)


def _abandoned(segment: Segment) -> list[Record]:
    """The ends of the sessions still open at the end of a spool's last segment, by event id."""
    opened: dict[bytes, Record] = {}
    latest: dict[bytes, int] = {}
    try:
        raw = segment.read(segment.start, segment.committed)
    except OSError:  # a status of a spool whose process lives: the file may be gone
        return []
    for line in throttled(raw.split(b"\n")):
        record = frame.decode(line, segment.seed)
        if record is None:
            continue
        session = session_id_of(record.body)
        latest[session] = max(latest.get(session, 0), _moment(record.body))
        if record.kind in (START, OPEN):
            opened[event_id_of(record.body)] = record
        elif record.kind == END:
            opened.pop(event_id_of(record.body), None)
    return [
        Record(END, start.route, abandoned_end(start.body, latest[session_id_of(start.body)]))
        for _, start in sorted(opened.items())
        if _moment(start.body)
    ]


def _moment(body: bytes) -> int:
    """The latest time in a record, Unix ms; 0 when it has none."""
    try:
        fields = orjson.loads(body)
        return int(max(fields.get("start_time", 0), fields.get("end_time", 0)))
    except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError):
        return 0
