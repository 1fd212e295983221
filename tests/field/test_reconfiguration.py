"""A web framework's request handler calls ``init``: what other requests have open goes on."""

from __future__ import annotations

from pathlib import Path

from support.fake_backend import Backend, stall
from support.subprocesses import run
from support.tracers import names

INIT = """
import json, sys, threading, time
import sessiontrace as st
def init():
    st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2], exit_timeout=0.2)
"""

TWO_REQUESTS = """
init()
with st.session("mine"):
    with st.span("a"):
        pass
    other = threading.Thread(target=init)
    other.start()
    other.join()
    with st.span("b"):
        pass
report = st.flush(10)
print(json.dumps([report.complete, report.stats.accepted, report.stats.offered]))
"""


def test_init_in_another_request_closes_nothing(backend: Backend, tmp_path: Path) -> None:
    """A second request calls ``init`` while a session is open: its later span and its end arrive,
    and the counts hold the records from before.
    """
    program = run(INIT + TWO_REQUESTS, tmp_path, backend.url, str(tmp_path / "spool"))
    assert program.stdout == "[true, 4, 4]\n"
    assert names(backend) == {"a", "b"}


FORTY_REQUESTS = """
def serve():
    for number in range(10):
        init_local()
        with st.session("request"):
            for step in range(3):
                with st.span("step"):
                    pass
def init_local():
    st.init("local", spool=sys.argv[2])
threads = [threading.Thread(target=serve) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
report = st.flush(20)
print(json.dumps([report.complete, report.stats.accepted]))
from sessiontrace.cli import main
main(["sessions", "list", "--limit", "100", "--json"])
"""


def test_forty_requests_that_each_call_init_are_complete(tmp_path: Path) -> None:
    """Ten requests in each of four threads, each with ``init`` first: no session is abandoned."""
    program = run(
        INIT + FORTY_REQUESTS, tmp_path, "", str(tmp_path / "spool"),
        SESSIONTRACE_STORE=str(tmp_path / "store.db"),
    )  # fmt: skip
    counts, *rest = program.stdout.splitlines()
    assert counts == "[true, 200]"
    assert "\n".join(rest).count('"session_id"') == 40
    assert "abandoned" not in program.stdout


HANGING = """
def init():
    st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
slowest = 0.0
init()
for number in range(4):
    with st.session("s"):
        begun = time.monotonic()
        init()
        slowest = max(slowest, time.monotonic() - begun)
print(slowest)
st.shutdown(0)
"""


def test_init_does_not_wait_for_a_backend_that_hangs(backend: Backend, tmp_path: Path) -> None:
    """The backend accepts and never answers: a repeated ``init`` is over at once."""
    backend.responder = lambda request: [stall(60)]
    program = run(INIT + HANGING, tmp_path, backend.url, str(tmp_path / "spool"))
    assert float(program.stdout) < 0.5


SHORT = """
async def redact(field, value):
    return value
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2], redact=redact)
for number in range(100):
    with st.session("s"):
        for step in range(3):
            with st.span(f"{number} {step}"):
                pass
"""


def test_a_short_program_with_an_async_redactor_delivers(backend: Backend, tmp_path: Path) -> None:
    """The records wait for the redactor when the program ends: exit delivers all 300 spans."""
    run(INIT + SHORT, tmp_path, backend.url, str(tmp_path / "spool"))
    assert len(names(backend)) == 300


SLOW = """
async def redact(field, value):
    await asyncio.sleep(0.3)
    return value
import asyncio
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=False, redact=redact)
with st.session("s"):
    for step in range(100):
        with st.span("step", inputs={"n": step}):
            pass
print(st.flush(0.3).complete)
"""


def test_flush_is_incomplete_while_records_wait_for_the_redactor(
    backend: Backend, tmp_path: Path
) -> None:
    """A redactor asks a service; flush runs out of time before the records reach the spool."""
    program = run(INIT + SLOW, tmp_path, backend.url, "")
    assert program.stdout == "False\n"


LEAVING = """
async def redact(field, value):
    if "leave" in str(value):
        raise SystemExit(2)
    return value
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2], redact=redact)
with st.session("s"):
    for step in range(40):
        with st.span("step", inputs={"n": "leave" if step == 7 else step}):
            pass
st.flush(10)
stats = st.stats()
print(stats.offered)
"""


def test_what_a_redactor_raises_leaves_no_record_unaccounted(
    backend: Backend, tmp_path: Path
) -> None:
    """SystemExit in the redactor: all 42 records are accepted or counted as dropped."""
    program = run(INIT + LEAVING, tmp_path, backend.url, str(tmp_path / "spool"))
    assert program.stdout == "42\n"


FROZEN = """
async def redact(field, value):
    await asyncio.sleep(0.2)
    return value
import asyncio
st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=False, redact=redact)
with st.session("s"):
    for step in range(100):
        with st.span("step", inputs={"n": step}):
            pass
now = time.monotonic()
time.monotonic = lambda: now
threading.Timer(8, lambda: (print("hangs", flush=True), __import__("os")._exit(0))).start()
st.flush(0.2)
print("returned", flush=True)
__import__("os")._exit(0)
"""


def test_flush_returns_under_a_frozen_clock(backend: Backend, tmp_path: Path) -> None:
    """freezegun stops ``time.monotonic``: flush waits for the redactor by another clock."""
    program = run(INIT + FROZEN, tmp_path, backend.url, "")
    assert program.stdout == "returned\n"


REFUSED = """
start = threading.Thread.start
refused = []
def refuse(thread):
    if thread.name.startswith("sessiontrace") and limited:
        refused.append(thread)
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = refuse
limited = True
init()
with st.session("s"):
    with st.span("a"):
        pass
limited = False
with st.session("s"):
    with st.span("b"):
        pass
deadline = time.monotonic() + 10
while time.monotonic() < deadline and sum(d.acked for d in st.stats().destinations.values()) < 6:
    time.sleep(0.02)
print(bool(refused), st.stats().destinations["honeyhive"].acked)
"""


def test_a_thread_that_could_not_start_is_started_with_the_next_record(
    backend: Backend, tmp_path: Path
) -> None:
    """The limit of processes is reached once: delivery begins with the next record, before exit."""
    program = run(INIT + REFUSED, tmp_path, backend.url, str(tmp_path / "spool"))
    assert program.stdout == "True 6\n"


MANY_TRACERS = """
for number in range(40):
    tracer = st.Tracer(
        st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2], exit_timeout=1
    )
    with tracer.session("s"):
        pass
del tracer
import gc
gc.collect()
deadline = time.monotonic() + 15
while threading.active_count() > 8 and time.monotonic() < deadline:
    time.sleep(0.02)
print(threading.active_count() <= 8)
"""


def test_dropped_tracers_leave_no_threads(backend: Backend, tmp_path: Path) -> None:
    """A program makes a tracer for each job and never shuts one down."""
    program = run(INIT + MANY_TRACERS, tmp_path, backend.url, str(tmp_path / "spool"))
    assert program.stdout == "True\n"
