"""A25: random histories of spools, in mapped and in written mode, against a model of sets.

The model knows of every record where it went and what became of it. After each step the law of
conservation is checked for each living spool and each destination, and whatever recovery reads
must be what the dead process had taken: nothing lost that was not counted, nothing invented.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import attrs
import hypothesis.strategies as some
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.spools import A, B, body, die, make, number_of, recovery

from sessiontrace.model.record import EVENT, Record
from sessiontrace.runtime import log
from sessiontrace.spool import spool_directory
from sessiontrace.spool.frame import Position, head
from sessiontrace.spool.source import Chunk
from sessiontrace.spool.spool import Spool

OURS = {"a": A, "b": B}
ROUTES = {b"*": ("a", "b"), b"a": ("a",), b"b": ("b",), b"b,a": ("a", "b")}
QUOTA = 1 << 20


@attrs.define(eq=False)
class Life:
    """A spool, living or dead, and what is known of it."""

    spool: Spool
    directory: Path | None = None
    bodies: dict[int, bytes] = attrs.field(factory=dict)
    segment: dict[int, int] = attrs.field(factory=dict)
    routed: dict[str, set[int]] = attrs.field(factory=lambda: {"a": set(), "b": set()})
    settled: dict[str, set[int]] = attrs.field(factory=lambda: {"a": set(), "b": set()})
    handed: dict[str, list[tuple[int, Position]]] = attrs.field(factory=lambda: {"a": [], "b": []})
    evicted: dict[str, set[int]] = attrs.field(factory=lambda: {"a": set(), "b": set()})
    lost: set[int] = attrs.field(factory=set)  # cut off by the crash
    flips: int = 0
    mixed: bool = False  # holds frames of another

    def check(self, name: str, records: list[Record]) -> list[int]:
        """These were all taken for this destination, are whole, and in order."""
        found = [number_of(record) for record in records]
        assert found == sorted(found)
        for number, record in zip(found, records, strict=True):
            assert self.bodies[number] == record.body, "not what was appended"
            assert number in self.routed[name], "routed to another"
        return found

    def acknowledge(self, name: str, position: Position) -> None:
        self.settled[name] |= {n for n, end in self.handed[name] if end <= position}

    def owed(self, name: str) -> set[int]:
        """What recovery must still get, before damage is counted."""
        gone = self.settled[name] | self.evicted[name] | self.lost
        return self.routed[name] - gone


class Spools(RuleBasedStateMachine):
    io = "map"

    def __init__(self) -> None:
        super().__init__()
        log.reset()
        self.root = Path(tempfile.mkdtemp(prefix="spools-"))
        self.living: list[Life] = []
        self.dead: list[Life] = []
        self.number = 0
        self.happened: set[str] = set()

    def teardown(self) -> None:
        """A fault-free end: everybody dies, one recovery comes, and in the end nothing is owed."""
        try:
            while self.living:
                self.crash(0, None)
            for _ in range(3):
                self.adopt(["a", "b"], 1000, 1.0)
            assert not self.dead
        finally:
            shutil.rmtree(self.root)

    def some_life(self, which: int) -> Life:
        return self.living[which % len(self.living)]

    # -- a living process --------------------------------------------------------------------

    @precondition(lambda self: len(self.living) < 3)
    @rule()
    def start(self) -> None:
        """Another process, or another tracer, under the same root."""
        spool = make(self.root / "root", A, B, io=self.io, quota=QUOTA,
                     on_fork=lambda head, body: True)  # fmt: skip
        self.living.append(Life(spool))

    def _append(self, life: Life, route: bytes, pad: int) -> None:
        self.number += 1
        number, raw = self.number, body(self.number, pad=pad)
        life.bodies[number] = raw
        for name in ROUTES[route]:
            life.routed[name].add(number)
        assert life.spool.append(head(EVENT, route), raw)

    def _locate(self, life: Life) -> None:
        """In which segment the latest records lie, by looking into the segments' own counts."""
        for segment in life.spool.segments:
            lines = segment.read(segment.start, segment.committed).split(b"\n")
            for line in lines[:-1]:
                where = line.index(b'{"event_id":"') + 13
                life.segment[int(line[where : where + 8], 16)] = segment.number

    @precondition(lambda self: self.living)
    @rule(
        which=some.integers(0, 2),
        route=some.sampled_from(sorted(ROUTES)),
        pads=some.lists(some.sampled_from([0, 10, 4_000, 60_000]), min_size=1, max_size=6),
    )
    def append(self, which: int, route: bytes, pads: list[int]) -> None:
        life = self.some_life(which)
        for pad in pads:
            self._append(life, route, pad)
        life.directory = life.spool.directory
        self._locate(life)

    @precondition(lambda self: self.living)
    @rule(which=some.integers(0, 2), route=some.sampled_from(sorted(ROUTES)))
    def append_within_append(self, which: int, route: bytes) -> None:
        """While a segment is rolled, a finaliser or a signal appends two records more."""
        life = self.some_life(which)
        fired: list[int] = []

        def interrupt() -> None:
            if not fired:
                fired.append(1)
                self._append(life, route, 10)
                self._append(life, b"*", 10)

        before, life.spool.segments.on_roll = life.spool.segments.on_roll, interrupt
        try:
            for _ in range(6):
                self._append(life, b"*", 60_000)
        finally:
            life.spool.segments.on_roll = before
        assert fired
        life.directory = life.spool.directory
        self._locate(life)

    @precondition(lambda self: self.living)
    @rule(which=some.integers(0, 2), name=some.sampled_from("ab"), most=some.integers(1, 9))
    def read(self, which: int, name: str, most: int) -> None:
        life = self.some_life(which)
        chunk = life.spool.reader(name).read(most, 1 << 20)
        if chunk is None:
            left = life.routed[name] - {n for n, _ in life.handed[name]} - life.evicted[name]
            assert not left, "the reader says there is nothing more"
            return
        found = life.check(name, chunk.records)
        assert not {n for n, _ in life.handed[name]} & set(found), "handed out twice"
        life.handed[name] += zip(found, chunk.ends, strict=True)

    @precondition(lambda self: self.living)
    @rule(which=some.integers(0, 2), name=some.sampled_from("ab"), back=some.integers(0, 20))
    def acknowledge(self, which: int, name: str, back: int) -> None:
        """Up to any place that was handed out, older ones after newer ones too."""
        life = self.some_life(which)
        if life.handed[name]:
            _, position = life.handed[name][-1 - back % len(life.handed[name])]
            life.spool.reader(name).acknowledge(position)
            life.acknowledge(name, position)

    @precondition(lambda self: self.living)
    @rule(which=some.integers(0, 2))
    def keep(self, which: int) -> None:
        """The worker's round: spare, sync, cursors, deletion, eviction."""
        life = self.some_life(which)
        life.spool._maintenance._quota._measured_at = -1e9
        life.spool.maintain()
        live = {segment.number for segment in life.spool.segments}
        for name in "ab":
            handed = {n for n, _ in life.handed[name]}
            gone = {n for n in life.routed[name] if life.segment[n] not in live}
            life.evicted[name] |= gone - handed
            life.lost |= (gone & handed) - life.settled[name]
        for orphan in list(self.dead):
            self._evict(orphan)

    def _evict(self, orphan: Life) -> None:
        """The quota takes the oldest segments, those of dead processes too."""
        assert orphan.directory is not None
        left = {int(path.stem) for path in orphan.directory.glob("*.seg")}
        orphan.lost |= {n for n, segment in orphan.segment.items() if segment not in left}
        if not orphan.directory.exists():
            self.dead.remove(orphan)

    @precondition(lambda self: any(life.directory for life in self.living))
    @rule(which=some.integers(0, 2))
    def fork(self, which: int) -> None:
        """A child inherits the spool, offers a record, abandons it and ends."""
        life = self.some_life(which)
        before = life.spool.accepted()
        if (child := os.fork()) == 0:
            taken = life.spool.append(head(EVENT, b"*"), b'{"event_id":"of the child"}')
            life.spool.maintain()
            life.spool.abandon()
            os._exit(0 if taken else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert life.spool.accepted() == before

    # -- death -------------------------------------------------------------------------------

    @precondition(lambda self: self.living)
    @rule(which=some.integers(0, 2), cut=some.none() | some.floats(0, 1))
    def crash(self, which: int, cut: float | None) -> None:
        """SIGKILL; or a loss of power that leaves the last segment cut at any byte."""
        life = self.some_life(which)
        self.living.remove(life)
        if life.directory is None:
            life.spool.close()
            return
        die(life.spool)
        life.spool._maintenance._write_cursors() if cut is None else None
        self.dead.append(life)
        newest = life.spool.segments.active
        if cut is not None and newest.path is not None:
            raw = newest.path.read_bytes()[: newest.committed]
            first = raw.index(b"\n") + 1
            size = first + int(cut * (len(raw) - first))
            os.truncate(newest.path, size)
            whole = raw[:size].rfind(b"\n") + 1
            for line in raw[whole:].split(b"\n")[:-1]:
                where = line.index(b'{"event_id":"') + 13
                life.lost.add(int(line[where : where + 8], 16))

    @precondition(lambda self: self.dead)
    @rule(which=some.integers(0, 9), at=some.floats(0, 1), bit=some.integers(0, 7))
    def flip(self, which: int, at: float, bit: int) -> None:
        """One bit in any record of a dead spool."""
        life = self.dead[which % len(self.dead)]
        assert life.directory is not None
        paths = sorted(life.directory.glob("*.seg"))
        if not paths:
            return
        path = paths[which % len(paths)]
        raw = bytearray(path.read_bytes().rstrip(b"\0"))
        first = raw.find(b"\n") + 1
        if first < len(raw):
            raw[first + int(at * (len(raw) - 1 - first))] ^= 1 << bit
            path.write_bytes(raw)
            life.flips += 1

    @precondition(lambda self: len(self.dead) > 1)
    @rule(which=some.integers(0, 9))
    def stale(self, which: int) -> None:
        """Blocks of another file, sound in themselves, show up behind the last record."""
        life = self.dead[which % len(self.dead)]
        other = self.dead[(which + 1) % len(self.dead)]
        assert life.directory is not None
        assert other.directory is not None
        mine, theirs = sorted(life.directory.glob("*.seg")), sorted(other.directory.glob("*.seg"))
        if not other.mixed and mine and theirs:  # else our own might come back with them
            content = mine[-1].read_bytes().rstrip(b"\0")
            if content.endswith(b"\n"):
                frames = theirs[0].read_bytes().rstrip(b"\0").split(b"\n", 1)[1]
                mine[-1].write_bytes(content + frames[: frames.rfind(b"\n") + 1])
                life.mixed = True

    @precondition(lambda self: self.dead)
    @rule(
        names=some.lists(some.sampled_from("ab"), min_size=1, max_size=2, unique=True),
        most=some.integers(1, 40),
        share=some.sampled_from([0.0, 0.5, 1.0]),
    )
    def adopt(self, names: list[str], most: int, share: float) -> None:
        """A later process takes what is owed to its destinations, settles a share, and goes."""
        for one in recovery(self.root / "root", *(OURS[name] for name in names)).scan():
            (life,) = (life for life in self.dead if life.spool.id == one.spool_id)
            for name, reader in one.readers.items():
                chunks: list[Chunk] = []
                while (chunk := reader.read(most, 1 << 20)) is not None:
                    chunks.append(chunk)
                found = life.check(name, [r for chunk in chunks for r in chunk.records])
                missing = life.owed(name) - set(found)
                assert len(missing) <= 2 * life.flips, f"lost without damage: {missing}"
                ends = [end for chunk in chunks for end in chunk.ends]
                life.handed[name] = list(zip(found, ends, strict=True))
                life.lost |= missing
                if share and ends:
                    place = ends[max(0, int(share * len(ends)) - 1)]
                    reader.acknowledge(place)
                    life.acknowledge(name, place)
                if share == 1.0:
                    assert reader.finished()
                    assert reader.pending() == 0
            one.release()
        self.dead = [life for life in self.dead if life.directory and life.directory.exists()]

    # -- the law -----------------------------------------------------------------------------

    @invariant()
    def the_books_balance(self) -> None:
        for life in self.living:
            accepted = life.spool.accepted()
            assert sum(accepted.values()) == len(life.bodies)
            for name in "ab":
                reader = life.spool.reader(name)
                routed = life.routed[name]
                assert len(routed) == reader.settled_count + reader.evicted + reader.pending()
                assert reader.evicted == len(life.evicted[name])
                assert reader.pending() == len(routed - life.settled[name] - life.evicted[name])


@pytest.mark.parametrize("io", ["map", "write"])
def test_A25_no_history_loses_or_invents_a_record(io: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Append, append within append, settle out of order, roll, evict, fork, crash at any byte,
    bit flips, stale frames, several processes, adoption by others in part: in any order.
    """

    class Machine(Spools):
        pass

    Machine.io = io
    ids = itertools.count(1)  # so that the same history finds its spools in the same order
    monkeypatch.setattr(spool_directory, "new_spool_id", lambda: f"{next(ids):016x}")
    checks: Any = list(HealthCheck)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=int(os.environ.get("SESSIONTRACE_MACHINE_EXAMPLES", "40")),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=checks,
        ),
    )
