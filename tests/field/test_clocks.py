"""A laptop sleeps overnight and its wall clock steps: what follows carries the right time."""

from __future__ import annotations

import json
from pathlib import Path

from support.subprocesses import run

PROGRAM = """
import time
read, step = time.time_ns, 0
time.time_ns = lambda: read() + step
import sessiontrace as st
tracer = st.Tracer("local", spool=False)
with tracer.session("before"):
    pass
step = 9 * 3_600_000_000_000
with tracer.session("after"):
    with tracer.span("step"):
        pass
tracer.flush(10)
from sessiontrace.cli import main
main(["sessions", "list", "--json"])
"""


def test_a_session_after_the_sleep_is_at_its_time(tmp_path: Path) -> None:
    """The wall clock is nine hours ahead while the monotonic clock has stood still."""
    program = run(PROGRAM, tmp_path, SESSIONTRACE_STORE=str(tmp_path / "store.db"))
    start = {row["name"]: row["start_time"] for row in json.loads(program.stdout)}
    assert 8.9 < (start["after"] - start["before"]) / 3_600_000 < 9.1
