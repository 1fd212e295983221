"""A key was wrong or rotated: its records are reported, and sent when their owner says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from support.fake_backend import Backend, answer
from support.subprocesses import environment, run
from support.tracers import names

PROGRAM = """
import sys
import sessiontrace as st
st.init(st.HoneyHive(api_key="old", base_url=sys.argv[1]), spool=sys.argv[2], exit_timeout=0.5)
with st.session("s"):
    for number in range(10):
        with st.span(f"step {number}"):
            pass
"""


def flush(tmp_path: Path, backend: Backend, *words: str) -> subprocess.CompletedProcess[str]:
    """``sessiontrace spool flush`` with the right key."""
    return subprocess.run(
        [sys.executable, "-m", "sessiontrace", "spool", "flush", str(tmp_path / "spool"), *words],
        env=environment(
            tmp_path, SESSIONTRACE_DESTINATIONS="honeyhive", HH_API_KEY="new",
            HH_API_URL=backend.url,
        ),
        capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip


def test_records_of_a_rotated_key_are_reported_and_sent(backend: Backend, tmp_path: Path) -> None:
    """Everything was refused with 401. After the rotation `flush` names what waits and exits with
    1; with the key's fingerprint, which it names, it sends them.
    """

    def respond(request: Any) -> Any:
        return answer(401 if "old" in request.headers.get("authorization", "") else 200)

    backend.responder = respond
    run(PROGRAM, tmp_path, backend.url, str(tmp_path / "spool"))
    done = flush(tmp_path, backend)
    assert done.returncode == 1
    assert "12 records wait for a honeyhive with another key or address" in done.stderr
    text = (done.stdout + done.stderr).split("--adopt-from", 1)[1]
    done = flush(tmp_path, backend, "--adopt-from", text.split()[0].strip("`'\",.)"), "--yes")
    assert done.returncode == 0, done.stderr
    assert len(names(backend)) == 10
