"""Several processes and one store: nobody is turned away, nothing is lost, none corrupts it."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest
from support.subprocesses import run, start

from sessiontrace.model.errors import StoreError
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from support.records import T0, event, session_end, session_start
from sessiontrace.model.ids import new_id
from sessiontrace.model.errors import StoreBusyError
from sessiontrace.store.sqlite.store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
def write(records):
    while True:
        try:
            return store.write(records)
        except StoreBusyError:
            pass
for batch in range(int(sys.argv[2])):
    sid = new_id()
    write([session_start(sid)])
    write([event(sid, T0 + at, error="boom" if at == 3 else None) for at in range(20)])
    write([session_end(sid)])
    print(sid, flush=True)
store.close()
"""
TESTS = str(Path(__file__).resolve().parent.parent)


def test_four_processes_write_while_one_reads(tmp_path: Path):
    """Web workers share one store, and the page reads it: each session must be there, summed up."""
    path = tmp_path / "store.db"
    writers = [start(WRITER, tmp_path, str(path), "15", TESTS) for _ in range(4)]
    reader = SqliteStore(path, read_only=True)
    seen, complaints = 0, []
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            try:
                seen = max(seen, len(reader.sessions(SessionQuery(limit=500)).sessions))
            except StoreError as error:
                complaints.append((seen, str(error)))
    written: list[str] = []
    for writer in writers:
        out, err = writer.communicate(timeout=10)
        assert (writer.returncode, err) == (0, "")
        written += out.split()
    # Only before the first writer had made the tables was there nothing to read.
    assert [one for one in complaints if one[0] or "is empty" not in one[1]] == []
    found = reader.sessions(SessionQuery(limit=500)).sessions
    assert {one.session_id for one in found} == set(written)
    assert len(written) == 60
    assert {(one.status, one.events, one.errors) for one in found} == {("ended", 20, 1)}
    reader.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_processes_that_make_the_file_at_once_all_succeed(tmp_path: Path):
    """A pool of workers starts on a fresh machine, each with its first session."""
    path = tmp_path / "new" / "store.db"
    writers = [start(WRITER, tmp_path, str(path), "1", TESTS) for _ in range(6)]
    for writer in writers:
        _, err = writer.communicate(timeout=30)
        assert (writer.returncode, err) == (0, "")
    reader = SqliteStore(path, read_only=True)
    assert len(reader.sessions(SessionQuery()).sessions) == 6
    reader.close()


def test_what_write_returned_for_survives_sigkill(tmp_path: Path):
    """The spool lets go of what the store took, so a kill right after must not cost a row."""
    path = tmp_path / "store.db"
    writer = start(WRITER, tmp_path, str(path), "100000", TESTS)
    assert writer.stdout is not None
    written = [writer.stdout.readline().strip() for _ in range(5)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=10)
    written += rest.split("\n")[:-1]
    reader = SqliteStore(path, read_only=True)
    for session_id in written:
        found = reader.session(session_id)
        assert found is not None
        assert (found.summary.status, len(found.events)) == ("ended", 20)
    reader.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_parent_and_forked_children_write_on(tmp_path: Path):
    """A preloading server forks with the store open; SQLite's locks do not live through a fork.

    Were the connection kept open, the parent's exit would remove the log under the children.
    """
    program = """
    import os, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from support.records import event, session_end, session_start
    from sessiontrace.model.ids import new_id
    from sessiontrace.model.errors import StoreBusyError
    from sessiontrace.store.sqlite.store import SqliteStore

    store = SqliteStore(Path(sys.argv[1]))
    def write(name, count):
        done = 0
        while done < count:
            sid = new_id()
            try:
                store.write([session_end(sid, event_name=name), event(sid)])
                done += 1
            except StoreBusyError:
                pass
    write("parent", 1)
    children = []
    for number in range(2):
        pid = os.fork()
        if pid == 0:
            write(f"child {number}", 30)
            os._exit(0)
        children.append(pid)
    write("parent", 30)
    store.close()
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    """
    path = tmp_path / "store.db"
    run(program, tmp_path, str(path), TESTS)
    reader = SqliteStore(path, read_only=True)
    found = reader.sessions(SessionQuery(limit=500)).sessions
    names = [one.name for one in found]
    assert {name: names.count(name) for name in set(names)} == {
        "parent": 31, "child 0": 30, "child 1": 30,
    }  # fmt: skip
    reader.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_closes_the_connection_first_and_both_sides_open_their_own(tmp_path: Path):
    """What is not open cannot be inherited."""
    program = """
    import os, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from support.records import session_start
    from sessiontrace.model.ids import new_id
    from sessiontrace.store.sqlite.store import SqliteStore

    store = SqliteStore(Path(sys.argv[1]))
    store.write([session_start(new_id())])
    assert store._connection is not None
    pid = os.fork()
    assert store._connection is None
    store.write([session_start(new_id())])
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
    os._exit(0)
    """
    run(program, tmp_path, str(tmp_path / "store.db"), TESTS)
    reader = SqliteStore(tmp_path / "store.db", read_only=True)
    assert len(reader.sessions(SessionQuery()).sessions) == 3
    reader.close()
