"""A job queue raises its time limit from a signal handler, in whatever runs just then."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.fake_backend import Backend
from support.subprocesses import run

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")

PROGRAM = """
import gc, signal, sys, time
import sessiontrace as st

class SoftTimeLimitExceeded(Exception): pass
class Value:
    def __repr__(self): return "".join(str(number) for number in range(200))

def handler(number, frame): raise SoftTimeLimitExceeded
signal.signal(signal.SIGALRM, handler)
gc.disable()
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
raised = 0
with st.session("s"):
    for number in range(400):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.000_02 + number * 0.000_002)
            for _ in range(60):
                with st.span("step", inputs={"value": Value(), "number": number}) as span:
                    span.set(outputs={"values": [Value()] * 3})
            time.sleep(0.1)
        except SoftTimeLimitExceeded:
            raised += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
report = st.flush(20)
print(raised, report.complete, sum(report.stats.dropped.values()))
"""


def test_each_time_limit_reaches_the_job(backend: Backend, tmp_path: Path) -> None:
    """A timer fires at 400 instants of traced work: 400 exceptions come out of it, and every
    record is accounted for.
    """
    program = run(PROGRAM, tmp_path, backend.url, str(tmp_path / "spool"), limit=50)
    assert program.stdout == "400 True 0\n"
