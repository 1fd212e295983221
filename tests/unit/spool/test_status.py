"""A look at the spools: what `spool status` tells, and that looking changes nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from support.spools import A, B, die, drain, fill, left_behind, make, numbers, recovered, snapshot

from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.status import inspect


def test_the_living_and_the_dead_are_told_apart(tmp_path: Path) -> None:
    """Two spools: who owns them, what they owe to whom, how much they take."""
    dead = left_behind(tmp_path, 20, A, B, pad=1000)
    spool = make(tmp_path, A)
    fill(spool, 7)
    chunk = spool.reader("a").read(3, 1 << 20)
    assert chunk is not None
    spool.reader("a").acknowledge(chunk.ends[-1])
    spool.maintain()

    found = {status.spool_id: status for status in inspect(tmp_path)}
    gone, alive = found[dead.name], found[spool.id]
    assert (gone.alive, alive.alive) == (False, True)
    assert (gone.service, gone.pid) == ("test", os.getpid())
    assert [(lag.consumer, lag.pending) for lag in gone.lags] == [(A, 20), (B, 20)]
    assert [(lag.consumer, lag.pending) for lag in alive.lags] == [(A, 4)]
    assert gone.used_bytes == (dead / "00000001.seg").stat().st_size
    assert alive.used_bytes < 10_000, "not what is reserved, what is used"
    assert gone.segments == 1
    assert 0 <= gone.age_s < 60
    spool.close()


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """After a look the files are the same, the owner still holds its spool, and an orphan can
    still be recovered.
    """
    dead = left_behind(tmp_path, 5)
    spool = make(tmp_path, A)
    fill(spool, 5)
    before = snapshot(dead)
    for _ in range(3):
        assert len(inspect(tmp_path)) == 2
    assert snapshot(dead) == before
    with recovered(tmp_path) as one:
        assert one.spool_id == dead.name
        assert numbers(drain(one.readers["a"])) == [1, 2, 3, 4, 5]
    assert [status.spool_id for status in inspect(tmp_path)] == [spool.id]
    spool.close()


def test_damage_and_unreadable_headers_are_shown_not_raised(tmp_path: Path) -> None:
    """The command is for the day when something is broken."""
    dead = left_behind(tmp_path, 5)
    raw = (dead / "00000001.seg").read_bytes()
    (dead / "00000001.seg").write_bytes(b"X" + raw[1:])
    (status,) = inspect(tmp_path)
    assert (status.service, status.pid, status.lags, status.damaged) == ("", 0, (), 1)
    assert status.used_bytes == len(raw)


def test_an_adopted_spool_counts_as_alive(tmp_path: Path) -> None:
    """Somebody holds it, whoever wrote it."""
    left_behind(tmp_path, 2)
    with recovered(tmp_path):
        (status,) = inspect(tmp_path)
        assert status.alive


def test_no_root_and_no_lock_give_nothing(tmp_path: Path) -> None:
    """Nothing there, or something that only looks like a spool."""
    assert inspect(tmp_path / "none") == []
    (tmp_path / ("0" * 16)).mkdir()
    assert inspect(tmp_path) == []


def test_a_copied_spool_is_judged_by_its_directory(tmp_path: Path) -> None:
    """A copy under another name is not that spool: its frames fail their checksums."""
    spool = make(tmp_path / "root")
    fill(spool, 3)
    directory = die(spool)
    shutil.copytree(directory, tmp_path / "root" / ("f" * 16))
    found = {status.spool_id: status for status in inspect(tmp_path / "root")}
    assert found["f" * 16].lags == ()
    assert found["f" * 16].damaged == 3


def test_a_spool_that_goes_while_it_is_looked_at_is_shown_as_far_as_it_was_seen(
    tmp_path: Path,
) -> None:
    """Its process delivers the rest and removes it between two reads of ours: nothing is raised."""
    dead = left_behind(tmp_path, 5)

    class Going(Files):
        opened = 0

        def open(self, path: Path, *, write: bool = False) -> int:
            self.opened += path.suffix == ".seg"
            if self.opened > 2:  # after the header and the frames
                path.unlink(missing_ok=True)
            return super().open(path, write=write)

    assert [status.spool_id for status in inspect(tmp_path, Going())] == [dead.name]
