"""A clock was ahead by more than the time that sessions are kept: nothing is deleted for it."""

from __future__ import annotations

import json
from pathlib import Path

from support.subprocesses import run

PROGRAM = """
import sys, time
import sessiontrace as st
st.init("local", spool=False)
for number in range(3):
    with st.session(sys.argv[1]):
        pass
    st.flush(10)
    time.sleep(0.1)
"""

AHEAD = """
import time
ahead = 40 * 86_400
read, read_ns = time.time, time.time_ns
time.time = lambda: read() + ahead
time.time_ns = lambda: read_ns() + ahead * 1_000_000_000
"""

LIST = """
from sessiontrace.cli import main
main(["sessions", "list", "--json"])
"""


def test_a_clock_that_was_ahead_once_deletes_no_session(tmp_path: Path) -> None:
    """A machine starts with a wrong clock, 40 days ahead, and a program records three sessions:
    those of yesterday are still there.
    """
    place = {"SESSIONTRACE_STORE": str(tmp_path / "store.db")}
    run(PROGRAM, tmp_path, "before", **place)
    run(AHEAD + PROGRAM, tmp_path, "ahead", **place)
    names = [row["name"] for row in json.loads(run(LIST, tmp_path, **place).stdout)]
    assert names.count("before") == 3
