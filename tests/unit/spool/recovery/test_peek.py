"""To look at the records of an ended process: what a destination has not got, and nothing else."""

from __future__ import annotations

from pathlib import Path

from support.spools import (
    END_HEAD,
    START_HEAD,
    A,
    B,
    body,
    die,
    drain,
    fill,
    make,
    numbers,
    snapshot,
)

from sessiontrace.model.record import EVENT
from sessiontrace.spool.frame import head
from sessiontrace.spool.recovery.peek import pending_records


def test_what_a_destination_has_not_got_is_shown_in_order(tmp_path: Path) -> None:
    """Two records were delivered to one of two destinations, one is for the other only, and one of
    two sessions has no end: it is shown with the end that recovery will give it.
    """
    spool = make(tmp_path, A, B)
    fill(spool, 2)
    drain(spool.reader("a"))
    spool.append(START_HEAD, body(3, 3))
    spool.append(START_HEAD, body(4, 4))
    spool.append(head(EVENT, b"b"), body(5))
    spool.append(END_HEAD, body(3, 3))
    spool.maintain()
    directory = die(spool)
    before = snapshot(directory)
    assert numbers(list(pending_records(directory, A))) == [3, 4, 3, 4]
    assert numbers(list(pending_records(directory, B))) == [1, 2, 3, 4, 5, 3, 4]
    assert snapshot(directory) == before


def test_a_spool_that_goes_meanwhile_shows_nothing(tmp_path: Path) -> None:
    """It was delivered while the user looked."""
    assert list(pending_records(tmp_path / "0123456789abcdef", A)) == []
