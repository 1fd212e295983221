"""Recovery: what a dead process left is delivered once more, by the right one, and no less."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import stat
from pathlib import Path

import orjson
import pytest
from support.spools import (
    END_HEAD,
    EVENT_HEAD,
    START_HEAD,
    A,
    B,
    FailingFiles,
    body,
    die,
    drain,
    fill,
    left_behind,
    make,
    number_of,
    numbers,
    recovered,
    recovery,
    restore,
    snapshot,
    uid,
)

from sessiontrace.model.record import END, EVENT, OPEN, START
from sessiontrace.runtime import log
from sessiontrace.runtime.counters import Counters
from sessiontrace.spool import spool_directory
from sessiontrace.spool.cursor import read_cursor, write_cursor
from sessiontrace.spool.filesystem import OS_FILES
from sessiontrace.spool.frame import Consumer, Position, encode, head
from sessiontrace.spool.recovery.scan import AFTER_ALL
from sessiontrace.spool.recovery.spool_recovery import MOST_SPOOLS, SpoolRecovery


def revived(root: Path, directory: Path, files: dict[str, bytes]) -> tuple[list[int], int]:
    """What recovery gets from these files: the events' numbers, and the damage it counted."""
    counters = Counters()
    restore(directory, files)
    found: list[int] = []
    for one in recovery(root, counters=counters).scan():
        reader = one.readers["a"]
        owed = reader.pending()
        found += numbers(drain(reader))
        assert (len(found), reader.finished()) == (owed, True)
        one.release()
    return found, counters.noted.get("corrupt_record", 0)


@pytest.mark.parametrize("io", ["map", "write"])
def test_everything_a_dead_process_took_is_adopted_in_order(tmp_path: Path, io: str) -> None:
    """Several segments, the last one full of zeros at its end: all records, none twice; then the
    directory is gone.
    """
    left_behind(tmp_path, 200, io=io, pad=5000)
    with recovered(tmp_path) as one:
        reader = one.readers["a"]
        assert (reader.adopted, reader.replay, reader.spool_id) == (True, True, one.spool_id)
        assert reader.pending() == 200
        assert numbers(drain(reader)) == list(range(1, 201))
        assert (reader.pending(), reader.finished()) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_A01_a_torn_tail_costs_the_torn_record_only(tmp_path: Path) -> None:
    """The process died at any byte of an append: exactly the complete prefix comes back, and the
    torn rest is counted once.
    """
    directory = left_behind(tmp_path, 4)
    files = snapshot(directory)
    raw = files["00000001.seg"]
    last = raw[:-1].rfind(b"\n") + 1
    assert revived(tmp_path, directory, files) == ([1, 2, 3, 4], 0)
    for size in range(last, len(raw)):
        torn = {**files, "00000001.seg": raw[:size]}
        assert revived(tmp_path, directory, torn) == ([1, 2, 3], int(size > last))
        torn["00000001.seg"] += bytes(300)
        assert revived(tmp_path, directory, torn) == ([1, 2, 3], int(size > last))


def test_A01_a_segment_cut_before_its_first_record_holds_none(tmp_path: Path) -> None:
    """Killed between making a segment and its first append, at any byte of the header."""
    directory = left_behind(tmp_path, 1)
    files = snapshot(directory)
    raw = files["00000001.seg"]
    for size in range(raw.index(b"\n") + 1):
        restore(directory, {**files, "00000001.seg": raw[:size]})
        for one in recovery(tmp_path).scan():
            assert drain(one.readers["a"]) == []
            one.release()
        assert not directory.exists()


def test_a_spool_without_any_readable_header_is_left_for_a_human(tmp_path: Path) -> None:
    """Nobody can tell whom its records are owed to: neither delivered nor thrown away."""
    directory = left_behind(tmp_path, 3)
    raw = snapshot(directory)["00000001.seg"]
    (directory / "00000001.seg").write_bytes(b"X" + raw[1:])
    assert recovery(tmp_path).scan() == []
    assert snapshot(directory)["00000001.seg"] == b"X" + raw[1:]


def test_A04_one_flipped_bit_costs_at_most_two_records(tmp_path: Path) -> None:
    """Disks decay. One bit anywhere: at most two records are lost, no wrong one is accepted, and
    the damage is counted.
    """
    directory = left_behind(tmp_path, 12)
    files = snapshot(directory)
    raw = files["00000001.seg"]
    first = raw.index(b"\n") + 1
    whole = list(range(1, 13))
    for place in range(first * 8 + random.randrange(13), len(raw) * 8, 13):  # the seed is told
        damaged = bytearray(raw)
        damaged[place // 8] ^= 1 << place % 8
        found, count = revived(tmp_path, directory, {**files, "00000001.seg": bytes(damaged)})
        assert [n for n in whole if n in found] == found
        assert 1 <= len(whole) - len(found) <= 2
        assert count >= len(whole) - len(found)


def test_a_damaged_header_costs_no_record_while_another_segment_has_one(tmp_path: Path) -> None:
    """The number in the file's name and the spool's id in the directory's are enough to check."""
    directory = left_behind(tmp_path, 10, pad=50_000)
    files = snapshot(directory)
    assert len([name for name in files if name.endswith(".seg")]) == 2
    files["00000001.seg"] = b"X" + files["00000001.seg"][1:]
    assert revived(tmp_path, directory, files) == (list(range(1, 11)), 1)


def test_frames_of_an_earlier_life_are_rejected(tmp_path: Path) -> None:
    """After a power cut a file may show blocks of a file that was deleted before: whole frames,
    sound in themselves, of another spool or another segment.
    """
    other = left_behind(tmp_path / "other", 5)
    old = snapshot(other)["00000001.seg"].split(b"\n", 1)[1]
    directory = left_behind(tmp_path / "mine", 3)
    files = snapshot(directory)
    files["00000001.seg"] += old + bytes(100)
    assert revived(tmp_path / "mine", directory, files) == ([1, 2, 3], 5)


def test_another_fingerprint_gets_nothing_and_removes_nothing(tmp_path: Path) -> None:
    """Another key means another customer: their data waits for them, byte by byte."""
    directory = left_behind(tmp_path, 20, A)
    before = snapshot(directory)
    stranger = Consumer("a", "local", "another key")
    looking = recovery(tmp_path, stranger, B)
    assert looking.scan() == []
    assert looking.scan() == []
    assert snapshot(directory) == before
    with recovered(tmp_path, A) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 21))


def test_a_destination_that_was_renamed_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    """The route in the frames says the old name, the reader the new one."""
    spool = make(tmp_path, A, B)
    for number in range(1, 9):
        spool.append([EVENT_HEAD, head(EVENT, b"a"), head(EVENT, b"b")][number % 3], body(number))
    die(spool)
    renamed = Consumer("production", A.kind, A.fingerprint)
    with recovered(tmp_path, renamed) as one:
        assert list(one.readers) == ["production"]
        assert numbers(drain(one.readers["production"])) == [1, 3, 4, 6, 7]
    with recovered(tmp_path, B) as one:
        assert numbers(drain(one.readers["b"])) == [2, 3, 5, 6, 8]
    assert list(tmp_path.iterdir()) == []


def test_two_destinations_with_one_fingerprint_get_their_own_shares(tmp_path: Path) -> None:
    """The same place under two names: a namesake takes over first, and none gets both shares."""
    twin, new = Consumer("twin", A.kind, A.fingerprint), Consumer("new", A.kind, A.fingerprint)
    for ours, expected in (
        ((twin, A), {"twin": [1], "a": [2]}),
        ((new, twin), {"twin": [1], "new": [2]}),
        ((new, A), {"new": [1], "a": [2]}),
    ):
        spool = make(tmp_path, A, twin)
        spool.append(head(EVENT, b"twin"), body(1))
        spool.append(head(EVENT, b"a"), body(2))
        die(spool)
        with recovered(tmp_path, *ours) as one:
            assert {name: numbers(drain(each)) for name, each in one.readers.items()} == expected


def test_a_destination_added_later_gets_what_is_left_when_it_asks_for_the_oldest(
    tmp_path: Path,
) -> None:
    """B was not there when A's records were written: all of them, once, and A loses none."""
    directory = left_behind(tmp_path, 5, A)
    assert recovery(tmp_path, B).scan() == []
    late = recovery(tmp_path, B, from_oldest=[B.name])
    (spool,) = late.scan()
    assert numbers(drain(spool.readers[B.name])) == [1, 2, 3, 4, 5]
    late.release()
    assert directory.exists()  # A's share is still owed
    assert recovery(tmp_path, B, from_oldest=[B.name]).scan() == []
    both = recovery(tmp_path, A, B, from_oldest=[B.name])
    (spool,) = both.scan()
    assert spool.readers[B.name].pending() == 0
    assert numbers(drain(spool.readers[A.name])) == [1, 2, 3, 4, 5]
    assert drain(spool.readers[B.name]) == []
    both.release()
    assert not directory.exists()


def test_the_oldest_for_one_destination_leaves_routes_as_they_were(tmp_path: Path) -> None:
    """Records that were meant for A alone do not go to B."""
    spool = make(tmp_path, A, io="write")
    spool.append(EVENT_HEAD, body(1))
    spool.append(head(EVENT, A.name.encode()), body(2))
    die(spool)
    late = recovery(tmp_path, B, from_oldest=[B.name])
    (found,) = late.scan()
    assert numbers(drain(found.readers[B.name])) == [1]
    late.release()


def test_A15_a_living_owner_is_not_robbed(tmp_path: Path) -> None:
    """The lock is held: whatever the pid says, the spool is not touched."""
    spool = make(tmp_path)
    fill(spool, 5)
    looking = recovery(tmp_path)
    assert looking.scan() == []
    fill(spool, 1, start=6)
    die(spool)
    (one,) = looking.scan()
    assert looking.scan() == [], "what is recovered is not recovered again"
    assert numbers(drain(one.readers["a"])) == [1, 2, 3, 4, 5, 6]
    one.release()


def test_the_own_spool_is_no_orphan(tmp_path: Path) -> None:
    """Even where its lock were free, a process does not adopt itself."""
    spool = make(tmp_path)
    fill(spool, 1)
    die(spool)
    assert SpoolRecovery(tmp_path, lambda: spool.id, [A], Counters()).scan() == []


def test_delivery_goes_on_where_the_cursor_stands(tmp_path: Path) -> None:
    """An recovery that ends early leaves the rest to the next one."""
    left_behind(tmp_path, 30, pad=30_000)
    seen: list[int] = []
    while len(seen) < 30:
        with recovered(tmp_path) as one:
            chunk = one.readers["a"].read(2, 1 << 22)
            assert chunk is not None
            one.readers["a"].acknowledge(chunk.ends[-1])
            seen += numbers(chunk.records)
    assert seen == list(range(1, 31))
    assert recovery(tmp_path).scan() == []
    assert list(tmp_path.iterdir()) == []


def test_what_was_read_and_not_settled_is_read_again(tmp_path: Path) -> None:
    """The recovery died between sending and the answer: duplicates, never a loss."""
    left_behind(tmp_path, 10)
    with recovered(tmp_path) as one:
        assert len(drain(one.readers["a"], settle=False)) == 10
        assert not one.readers["a"].finished()
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 11))


BAD_CURSORS = {
    "missing": None,
    "empty": b"",
    "torn": b"0123",
    "zeros": bytes(80),
    "rubbish": b"\xff" * 100,
    "other text": b"00000000 a b c d .\n",
}


@pytest.mark.parametrize("kind", BAD_CURSORS)
def test_A17_a_cursor_that_cannot_be_read_means_from_the_beginning(
    tmp_path: Path, kind: str
) -> None:
    """Cursors are hints. Without one everything is delivered again; nothing hangs."""
    directory = left_behind(tmp_path, 10)
    raw = BAD_CURSORS[kind]
    if raw is not None:
        (directory / "a.cursor").write_bytes(raw)
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 11))


@pytest.mark.parametrize(
    "position",
    [
        Position(1, 10**9),  # beyond the file
        Position(1, 700),  # within a record
        Position(1, 0),
        Position(2, 500),  # beyond the last segment
        Position(77, 1),
        Position(AFTER_ALL, 9),  # beyond the ends of open sessions
    ],
)
def test_A17_a_cursor_from_the_future_means_duplicates(tmp_path: Path, position: Position) -> None:
    """A segment's tail was lost in a power cut, the cursor was not: it points at nothing."""
    directory = left_behind(tmp_path, 10)
    write_cursor(OS_FILES, directory, directory.name, A, position)
    if position.segment == AFTER_ALL:
        assert recovery(tmp_path).scan() == []
        assert not directory.exists()
        return
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == list(range(1, 11))


def test_A17_every_torn_write_of_a_cursor_is_noticed(tmp_path: Path) -> None:
    """Old and new line mixed at any byte: either one of both, or nothing settled."""
    directory = left_behind(tmp_path, 1)
    old, new = Position(7, 1234), Position(12, 9)
    lines = []
    for position in (old, new):
        write_cursor(OS_FILES, directory, directory.name, A, position)
        assert read_cursor(OS_FILES, directory, directory.name, A) == position
        lines.append((directory / "a.cursor").read_bytes())
    assert len(lines[0]) == len(lines[1])
    for cut in range(len(lines[0]) + 1):
        (directory / "a.cursor").write_bytes(lines[1][:cut] + lines[0][cut:])
        found = read_cursor(OS_FILES, directory, directory.name, A)
        assert found in {old, new, Position(0, 0)}


def test_a_cursor_of_another_place_or_spool_does_not_count(tmp_path: Path) -> None:
    """The key was changed and changed back under the same name: each has its own progress."""
    directory = left_behind(tmp_path, 3)
    write_cursor(OS_FILES, directory, directory.name, A, Position(1, 400))
    other = Consumer(A.name, A.kind, "other")
    assert read_cursor(OS_FILES, directory, directory.name, other) == Position(0, 0)
    assert read_cursor(OS_FILES, directory, "f" * 16, A) == Position(0, 0)


def test_a_stale_cursor_before_deleted_segments_starts_at_what_is_left(tmp_path: Path) -> None:
    """Killed between the deletion of a segment and the next cursor: the rest is delivered."""
    directory = left_behind(tmp_path, 20, pad=50_000)
    (directory / "00000001.seg").unlink()
    write_cursor(OS_FILES, directory, directory.name, A, Position(1, 300))
    with recovered(tmp_path) as one:
        found = numbers(drain(one.readers["a"]))
    assert found
    assert found == list(range(found[0], 21))


def test_a_session_without_an_end_gets_one_at_every_adoption_the_same(tmp_path: Path) -> None:
    """A killed process left two sessions open, one of them quiet since. Their ends come after all
    records, at the last moment seen, and byte by byte the same at the next adoption.
    """
    spool = make(tmp_path, A, B)
    spool.append(START_HEAD, body(1, session=1, start_time=1000))
    spool.append(head(START, b"b"), body(2, session=2, start_time=1000))
    spool.append(START_HEAD, body(3, session=3, start_time=1000))
    spool.append(EVENT_HEAD, body(4, session=1, start_time=1500, end_time=7000))
    spool.append(END_HEAD, body(3, session=3, start_time=1000))
    die(spool)

    with recovered(tmp_path, A, B) as one:
        assert one.readers["a"].pending() == 5
        first = drain(one.readers["a"], settle=False)
        assert [(r.kind, number_of(r)) for r in first] == [
            (START, 1),
            (START, 3),
            (EVENT, 4),
            (END, 3),
            (END, 1),
        ]
        ends = [r for r in drain(one.readers["b"]) if r.kind == END]
        assert [number_of(r) for r in ends] == [3, 1, 2]
    end = orjson.loads(first[-1].body)
    assert end["end_time"] == 7000
    assert end["duration"] == 6000.0
    assert end["metadata"] == {"abandoned": True}
    assert orjson.loads(ends[-1].body)["end_time"] == 1000

    with recovered(tmp_path, A, B) as one:
        assert drain(one.readers["a"]) == first
        assert drain(one.readers["b"]) == []
    assert list(tmp_path.iterdir()) == []


def test_delivery_of_the_ends_goes_on_at_the_cursor_too(tmp_path: Path) -> None:
    """Ten sessions were open; the recovery ends after the third: the next goes on at the fourth."""
    spool = make(tmp_path)
    for number in range(1, 11):
        spool.append(START_HEAD, body(number, session=number))
    die(spool)
    with recovered(tmp_path) as one:
        drained = one.readers["a"].read(100, 1 << 20)
        assert drained is not None
        one.readers["a"].acknowledge(drained.ends[-1])
        some = one.readers["a"].read(3, 1 << 20)
        assert some is not None
        one.readers["a"].acknowledge(some.ends[-1])
    with recovered(tmp_path) as one:
        assert one.readers["a"].pending() == 7
        assert numbers(drain(one.readers["a"])) == list(range(4, 11))
    assert list(tmp_path.iterdir()) == []


def test_a_session_is_ended_though_the_segment_of_its_start_is_gone(tmp_path: Path) -> None:
    """It began long ago; all but the last segment was delivered and deleted. The repeat in there
    is what its end is made of, and it is passed on first, for exporters to know the session.
    """
    spool = make(tmp_path)
    spool.append(START_HEAD, body(1, session=1))
    fill(spool, 20, start=2, pad=50_000)
    drain(spool.reader("a"))
    spool.maintain()
    fill(spool, 1, start=22)
    die(spool)
    with recovered(tmp_path) as one:
        reader = one.readers["a"]
        assert reader.pending() == 2
        records = drain(reader)
        assert [(r.kind, number_of(r)) for r in records] == [(OPEN, 1), (EVENT, 22), (END, 1)]
        assert (reader.pending(), reader.settled_count) == (0, 2)


def test_a_last_segment_without_records_does_not_hide_open_sessions(tmp_path: Path) -> None:
    """Killed just after beginning a segment, or with a spare made ahead: the one before tells."""
    spool = make(tmp_path)
    spool.append(START_HEAD, body(1, session=1))
    spool.segments.roll(0)
    directory = die(spool)
    spool._maintenance._make_spare()
    last = directory / "00000002.seg"
    raw = last.read_bytes()
    header = raw.index(b"\n") + 1
    os.truncate(last, header)
    assert (directory / "00000003.seg").exists()
    with recovered(tmp_path) as one:
        assert [r.kind for r in drain(one.readers["a"])] == [START, END]


def test_A19_unknown_things_in_the_directory_are_passed_over(tmp_path: Path) -> None:
    """A FIFO must not stop the opener, a symbolic link is not followed, the rest is not ours."""
    directory = left_behind(tmp_path, 3)
    outside = tmp_path / "outside.seg"
    outside.write_bytes(snapshot(directory)["00000001.seg"])
    os.mkfifo(directory / "00000002.seg")
    os.symlink(outside, directory / "00000003.seg")
    (directory / "00000004.seg").mkdir()
    (directory / "notes.txt").write_text("mine")
    (tmp_path / "no spool").mkdir()
    (tmp_path / ("0" * 16)).write_text("a file with a spool's name")
    os.symlink(directory, tmp_path / ("1" * 16))
    with recovered(tmp_path) as one:
        assert numbers(drain(one.readers["a"])) == [1, 2, 3]
    assert not (directory / "00000001.seg").exists()
    assert (directory / "notes.txt").read_text() == "mine"
    assert outside.exists()
    assert recovery(tmp_path).scan() == []


def test_A20_a_newer_format_is_left_alone_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An older program meets a newer one's spool: it neither delivers nor deletes it."""
    log.reset()
    directory = left_behind(tmp_path, 3)
    newer = encode(0, b" header * ", b'{"format":2}')
    (directory / "00000002.seg").write_bytes(newer + b"what only the future knows\n")
    before = snapshot(directory)
    looking = recovery(tmp_path)
    assert looking.scan() == looking.scan() == []
    assert snapshot(directory) == before
    assert [r.message for r in caplog.records if "newer version" in r.message]


def test_directories_that_were_never_finished_are_swept(tmp_path: Path) -> None:
    """Killed while making its directory: after a minute it is removed, before that it may live."""
    for name, age in (("old", 3600), ("young", 1)):
        directory = tmp_path / f".new-{name}"
        directory.mkdir()
        (directory / "lock").write_bytes(b"")
        now = directory.stat().st_mtime
        os.utime(directory, (now - age, now - age))
    recovery(tmp_path).scan()
    assert [path.name for path in tmp_path.iterdir()] == [".new-young"]


def test_a_root_that_others_can_write_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever could plant a spool there could have us send it with our key."""
    log.reset()
    left_behind(tmp_path / "root", 1)
    (tmp_path / "root").chmod(0o777)
    assert recovery(tmp_path / "root").scan() == []
    assert "is writable by other users" in caplog.text
    (tmp_path / "root").chmod(0o700)
    assert len(recovery(tmp_path / "root").scan()) == 1


def test_no_root_is_no_fault(tmp_path: Path) -> None:
    """The first run on a machine: nothing to adopt, and nothing is made for it."""
    assert recovery(tmp_path / "none").scan() == []
    assert not (tmp_path / "none").exists()


def test_tending_deletes_what_all_have_passed_while_delivery_goes_on(tmp_path: Path) -> None:
    """A large spool of a dead process gives back its space as it is delivered, not at the end."""
    directory = left_behind(tmp_path, 60, pad=20_000)
    looking = recovery(tmp_path)
    (one,) = looking.scan()
    reader = one.readers["a"]
    seen: list[int] = []
    while len(seen) < 40:
        chunk = reader.read(5, 1 << 20)
        assert chunk is not None
        seen += numbers(chunk.records)
        reader.acknowledge(chunk.ends[-1])
    before = len(list(directory.glob("*.seg")))
    looking.scan()
    assert 0 < len(list(directory.glob("*.seg"))) < before
    assert seen + numbers(drain(reader)) == list(range(1, 61))
    one.release()
    one.release()
    assert not directory.exists()
    assert reader.read(1, 1) is None


def test_an_adopted_segment_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file vanishes under the recovery: the rest is delivered, the loss is counted, no hang."""
    counters = Counters()
    directory = left_behind(tmp_path, 20, pad=50_000)
    (one,) = recovery(tmp_path, counters=counters).scan()
    (directory / "00000002.seg").unlink()
    found = numbers(drain(one.readers["a"]))
    assert 10 < len(found) < 20
    assert counters.noted["segment_lost"] == 1
    assert one.readers["a"].evicted == 20 - len(found)
    assert one.readers["a"].pending() == 0
    one.release()


def test_a_removed_spool_cannot_be_claimed_through_an_old_descriptor(tmp_path: Path) -> None:
    """Two adopters open the lock file, one delivers and removes everything, then lets go. The
    other now holds the lock of a file that is gone, and must notice.
    """
    directory = left_behind(tmp_path, 1)
    files = FailingFiles()
    real = files.lock

    def late(fd: int, *, shared: bool = False) -> bool:
        with recovered(tmp_path) as one:
            drain(one.readers["a"])
        return real(fd, shared=shared)

    files.lock = late  # type: ignore[method-assign]
    assert SpoolRecovery(tmp_path, lambda: None, [A], Counters(), files).scan() == []
    assert not directory.exists()


def test_a_lock_file_that_was_replaced_does_not_let_an_adopter_in(tmp_path: Path) -> None:
    """The owner's directory was removed and the owner made it again, under the same name. Whoever
    had opened the old lock file meanwhile can lock that, but it guards nothing any more.
    """
    spool = make(tmp_path)
    fill(spool, 3)
    files = FailingFiles()
    real = files.lock

    def late(fd: int, *, shared: bool = False) -> bool:
        assert spool.directory is not None
        shutil.rmtree(spool.directory)
        spool.maintain()
        return real(fd, shared=shared)

    files.lock = late  # type: ignore[method-assign]
    assert SpoolRecovery(tmp_path, lambda: None, [A], Counters(), files).scan() == []
    assert numbers(drain(spool.reader("a"))) == [1, 2, 3]
    spool.close()


def test_adopted_files_stay_private(tmp_path: Path) -> None:
    """The recovery's cursor is as private as what it points at."""
    directory = left_behind(tmp_path, 10)
    with recovered(tmp_path) as one:
        chunk = one.readers["a"].read(3, 1 << 20)
        assert chunk is not None
        one.readers["a"].acknowledge(chunk.ends[-1])
    assert stat.S_IMODE((directory / "a.cursor").stat().st_mode) == 0o600
    assert uid(1) in (directory / "00000001.seg").read_text("latin-1")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_A28_orphans_without_number_cost_few_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destination was down for a thousand short runs. The next run takes over some of their
    spools, the oldest first, counts the others, and goes on as those are delivered.
    """
    ids = itertools.count()
    monkeypatch.setattr(spool_directory, "new_spool_id", lambda: f"{next(ids):016x}")
    for _ in range(150):
        left_behind(tmp_path, 2)
    before = descriptors()
    taker = recovery(tmp_path)
    spools = taker.scan()
    assert descriptors() <= before + MOST_SPOOLS
    assert [int(one.spool_id, 16) for one in spools] == list(range(MOST_SPOOLS))
    assert taker.waiting == 150 - MOST_SPOOLS
    assert taker.scan() == []
    delivered = []
    while spools:
        for one in spools:
            assert len(drain(one.readers["a"])) == 2
            one.release()
            delivered.append(int(one.spool_id, 16))
        assert taker.has_room() == bool(taker.waiting)
        spools = taker.scan()
    assert delivered == list(range(150))
    assert taker.waiting == 0


def test_A28_a_dead_destination_does_not_keep_others_waiting(tmp_path: Path) -> None:
    """As many spools as may be taken over wait for a destination that is down. Those for another
    one are taken over all the same.
    """
    for _ in range(MOST_SPOOLS + 5):
        left_behind(tmp_path, 1, A)
    for _ in range(3):
        left_behind(tmp_path, 1, B)
    taker = recovery(tmp_path, A, B)
    spools = taker.scan()
    assert sum("a" in one.readers for one in spools) == MOST_SPOOLS
    assert sum("b" in one.readers for one in spools) == 3
    assert taker.waiting == 5
    taker.release()


def test_D21_records_of_an_unknown_kind_are_left_to_the_version_that_wrote_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer version wrote them in the same format. No exporter of this one would send them, and
    they would count as delivered; so their spool stays, whole, and a line says so.
    """
    log.reset()
    spool = make(tmp_path)
    fill(spool, 2)
    assert spool.append(head(b"note", b"*"), body(3))
    spool.maintain()
    directory = die(spool)
    before = snapshot(directory)
    taker = recovery(tmp_path)
    assert taker.scan() == []
    assert taker.scan() == []
    assert {**before, **snapshot(directory)} == before | {
        name: raw.rstrip(b"\0") for name, raw in before.items() if name.endswith(".seg")
    }
    assert "newer version" in caplog.text
