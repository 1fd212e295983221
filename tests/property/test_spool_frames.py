"""Frames and spools under Hypothesis: any bytes, any order of events, against a plain list."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.spools import A, B, body, die, drain, make, number_of, recovery

from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.spool.frame import decode, encode, head, routed, seed
from sessiontrace.spool.reader import Reader
from sessiontrace.spool.spool import Spool

ROUTES = [b"*", b"a", b"b", b"a,b"]

bodies = st.binary(max_size=300).map(lambda raw: raw.replace(b"\n", b""))
names = st.from_regex(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
routes = st.lists(names, min_size=1, max_size=3).map(b",".join) | st.just(b"*")
kinds = st.sampled_from([START, EVENT, END, b"update"])


@given(bodies, kinds, routes, st.integers(1, 10**8 - 1))
def test_any_body_without_a_line_feed_comes_back(
    raw: bytes, kind: bytes, route: bytes, number: int
) -> None:
    """Spaces, zeros, checksums, frames within frames: a body is a body."""
    start = seed("0123456789abcdef", number)
    line = encode(start, head(kind, route), raw)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line[:-1], start) == (kind, route, raw)
    for name in route.split(b","):
        assert routed(route, name)


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_no_chance_bytes_are_a_frame(raw: bytes, start: int) -> None:
    """Whatever lies on a disk: without its checksum it is nothing."""
    assert decode(raw.replace(b"\n", b""), start) is None


@settings(max_examples=60)
@given(
    st.lists(st.tuples(bodies, st.sampled_from(ROUTES)), max_size=30),
    st.sampled_from(["map", "write", "memory"]),
    st.integers(1, 7),
    st.integers(1, 2000),
)
def test_every_reader_gets_exactly_its_records(
    sent: list[tuple[bytes, bytes]], io: str, most: int, most_bytes: int
) -> None:
    """Any bodies, any routes, any limits: in order, each once, nothing added."""
    with tempfile.TemporaryDirectory() as place:
        spool = make(Path(place), A, B, io=io)
        for raw, route in sent:
            assert spool.append(head(EVENT, route), raw)
        for name in (b"a", b"b"):
            reader, found = spool.reader(name.decode()), []
            while (chunk := reader.read(most, most_bytes)) is not None:
                assert 1 <= len(chunk.records) <= most
                found += [record.body for record in chunk.records]
                reader.acknowledge(chunk.ends[-1])
            assert found == [raw for raw, route in sent if routed(route, name)]
            assert reader.position() == spool.end()
        spool.close()


class Life(RuleBasedStateMachine):
    """Append, read, settle, keep, roll, die and be recovered, in any order, against plain lists.

    The model keeps, for each destination, what was accepted and not settled. Whatever happens, each
    of these records is delivered in the end, and none that was never accepted. A record may come
    twice only after its process died.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.number = 0
        self.owed: dict[str, list[int]] = {"a": [], "b": []}
        self.read: dict[str, list[int]] = {"a": [], "b": []}
        self.held: dict[str, list[tuple[int, object]]] = {"a": [], "b": []}
        self.orphaned: dict[str, set[int]] = {"a": set(), "b": set()}
        self.spool: Spool

    @initialize(io=st.sampled_from(["map", "write"]))
    def begin(self, io: str) -> None:
        self.io = io
        self.spool = make(self.root, A, B, io=io)

    @rule(route=st.sampled_from(ROUTES), pad=st.sampled_from([0, 500, 60_000, 300_000]))
    def append(self, route: bytes, pad: int) -> None:
        self.number += 1
        assert self.spool.append(head(EVENT, route), body(self.number, pad=pad))
        for name in self.owed:
            if routed(route, name.encode()):
                self.owed[name].append(self.number)

    @rule(name=st.sampled_from("ab"), most=st.integers(1, 5))
    def take(self, name: str, most: int) -> None:
        chunk = self.spool.reader(name).read(most, 1 << 20)
        expected = self.owed[name][len(self.held[name]) :]
        if chunk is None:
            assert expected == []
            return
        found = [number_of(record) for record in chunk.records]
        assert found == expected[: len(found)]
        self.held[name] += zip(found, chunk.ends, strict=True)

    @rule(name=st.sampled_from("ab"), share=st.integers(1, 5))
    def acknowledge(self, name: str, share: int) -> None:
        settled, self.held[name] = self.held[name][:share], self.held[name][share:]
        if settled:
            self.spool.reader(name).acknowledge(settled[-1][1])  # type: ignore[arg-type]
            self.owed[name] = self.owed[name][len(settled) :]

    @rule()
    def keep(self) -> None:
        self.spool.maintain()

    @precondition(lambda self: self.spool.mode != "unopened")
    @rule()
    def roll(self) -> None:
        with self.spool.segments.lock:
            self.spool.segments.roll(0)

    @precondition(lambda self: self.spool.mode != "unopened")
    @rule(orderly=st.booleans())
    def end(self, orderly: bool) -> None:
        if orderly:
            self.spool.close()
        else:
            die(self.spool)
        for name in self.owed:
            self.orphaned[name] |= set(self.owed[name])
            self.owed[name], self.held[name] = [], []
        self.begin(self.io)

    @rule(name=st.sampled_from("ab"), most=st.integers(1, 9))
    def adopt(self, name: str, most: int) -> None:
        ours = A if name == "a" else B
        for one in recovery(self.root, ours).scan():
            reader: Reader = one.readers[name]
            chunk = reader.read(most, 1 << 20)
            if chunk is not None:
                self.deliver(name, chunk.records)
                reader.acknowledge(chunk.ends[-1])
            one.release()

    def deliver(self, name: str, records: list[Record]) -> None:
        for record in records:
            assert routed(record.route, name.encode())
            assert number_of(record) <= self.number
            self.orphaned[name].discard(number_of(record))

    @invariant()
    def books_balance(self) -> None:
        for name in self.owed:
            reader = self.spool.reader(name)
            assert reader.pending() == len(self.owed[name])
            assert reader.evicted == 0

    def teardown(self) -> None:
        self.spool.close()
        for name in self.owed:
            self.orphaned[name] |= set(self.owed[name])
        for one in recovery(self.root, A, B).scan():
            for name, reader in one.readers.items():
                self.deliver(name, drain(reader))
            one.release()
        assert self.orphaned == {"a": set(), "b": set()}
        assert list(self.root.iterdir()) == []
        shutil.rmtree(self.root)


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase
