"""What was handed out and not settled: counted once, in the order it was handed out."""

from __future__ import annotations

from sessiontrace.spool.frame import Position
from sessiontrace.spool.in_flight import InFlight
from sessiontrace.spool.positions import Positions


def ends(segment: int, *offsets: int) -> Positions:
    return Positions([segment] * len(offsets), list(offsets))


def test_a_chunk_is_settled_piece_by_piece_and_each_record_once() -> None:
    """A batch that is divided settles its records in several steps."""
    in_flight = InFlight()
    in_flight.add(ends(1, 10, 20, 30))
    assert in_flight.acknowledge(Position(1, 20)) == 2
    assert in_flight.acknowledge(Position(1, 10)) == 0
    assert in_flight
    assert in_flight.acknowledge(Position(1, 30)) == 1
    assert not in_flight


def test_one_position_settles_several_chunks() -> None:
    """A batch is cut from several chunks, also across segments."""
    in_flight = InFlight()
    in_flight.add(ends(1, 10, 20))
    in_flight.add(ends(2, 10, 20))
    in_flight.add(ends(2, 30))
    assert in_flight.acknowledge(Position(2, 20)) == 4
    assert in_flight.acknowledge(Position(9, 0)) == 1
    assert not in_flight


def test_repeated_starts_do_not_count() -> None:
    """They were counted in the segment that first held them."""
    in_flight = InFlight()
    in_flight.add(ends(2, 10, 20, 30), repeats=2)
    assert in_flight.acknowledge(Position(2, 10)) == 0
    assert in_flight.acknowledge(Position(2, 30)) == 1


def test_what_comes_from_no_living_segment_is_given_up_once() -> None:
    """At close, after the quota took segments whose records are under way."""
    in_flight = InFlight()
    in_flight.add(ends(1, 10, 20, 30), repeats=1)
    in_flight.add(ends(2, 10))
    in_flight.acknowledge(Position(1, 20))
    assert in_flight.abandon({2}) == 1
    assert in_flight.abandon({2}) == 0
    assert in_flight.acknowledge(Position(1, 30)) == 0
    assert in_flight.acknowledge(Position(2, 10)) == 1
