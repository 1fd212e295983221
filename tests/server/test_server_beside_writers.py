"""The server reads what programs write, at the same time, into the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.records import eventually
from support.server_process import serving
from support.subprocesses import start

PROGRAM = """
import sys
import sessiontrace as st

st.init(st.Local(path=sys.argv[1]), spool=sys.argv[2], service="worker", exit_timeout=60)
for number in range(40):
    with st.session(f"{sys.argv[3]} {number}"):
        for step in range(5):
            with st.span(f"step {step}", type="tool", inputs={"text": "x" * 500}):
                pass
report = st.shutdown(timeout=60)
assert report.complete, str(report)
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_four_programs_write_while_the_server_reads(tmp_path: Path):
    """No question fails, no program is told of anything, and nothing is missing at the end."""
    db = tmp_path / "store.db"
    with serving(db) as server:
        programs = [
            start(PROGRAM, tmp_path, str(db), str(tmp_path / "spool"), f"p{number}", limit=120)
            for number in range(4)
        ]
        asked = 0
        while any(program.poll() is None for program in programs):
            for path in ("/api/sessions?limit=200", "/api/histogram", "/api/sessions?q=step"):
                server.json(path)
                asked += 1
        for program in programs:
            out, err = program.communicate(timeout=60)
            assert (program.returncode, out, err) == (0, "", "")
        assert asked > 3
        listed = eventually(
            lambda: [
                one
                for one in server.json("/api/sessions?limit=200")["sessions"]
                if (one["status"], one["events"]) == ("ended", 5)
            ]
        )
        assert sorted(one["name"] for one in listed) == sorted(
            f"p{number} {at}" for number in range(4) for at in range(40)
        )
