"""Signal handlers of other tools, in programs of their own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support.subprocesses import run

pytest.importorskip("pytest_timeout")

LIMITED = """
import pytest
import sessiontrace as st

entered = []
recorded = []

with st.testing.capture(pinned=False), st.session("s"), st.span("step"):
    pass  # imports, which on a busy machine take longer than the limit

@pytest.mark.timeout(0.3, method="signal")
def test_one_that_hangs():
    values = [str(number) for number in range(500)]
    with st.testing.capture(pinned=False) as traces:
        try:
            with st.session("s"):
                while True:
                    with st.span("step", inputs={"values": values}):
                        entered.append(1)
        finally:
            recorded.extend(traces.events)

def test_one_that_follows():
    assert len(recorded) == len(entered) > 0
    assert st.current_session().event_id == ""
"""

PROGRAM = """
import sys
import pytest
others = ("asyncio", "randomly", "cacheprovider", "langsmith_plugin")
plugins = ["-pno:" + name for name in others]
sys.exit(pytest.main(["-q", *plugins, sys.argv[1]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGALRM")
def test_B28_the_timeout_of_pytest_fails_the_test_that_hangs(tmp_path: Path) -> None:
    """pytest-timeout's method "signal" raises in the middle of a step: that test fails with its
    message, each step is recorded, and the next test begins outside any session.
    """
    (tmp_path / "test_limited.py").write_text(LIMITED)
    done = run(PROGRAM, tmp_path, str(tmp_path / "test_limited.py"), limit=60, expect=1)
    assert re.search(r"1 failed, 1 passed", done.stdout), done.stdout
    assert "Timeout (>0.3s) from pytest-timeout" in done.stdout
