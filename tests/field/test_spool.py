"""Disks fill up, runs are killed, files change: the spool keeps what it promised."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.fake_backend import Backend, answer
from support.subprocesses import run
from support.tracers import names

IMPORTS = """
import json, os, resource, sys, time
import sessiontrace as st
URL, SPOOL = sys.argv[1:3]
def init(**options):
    st.init(st.HoneyHive(api_key="k", base_url=URL), spool=SPOOL, exit_timeout=0.3, **options)
def steps(name, count, pad=0):
    with st.session("s"):
        for number in range(count):
            with st.span(f"{name} {number}", inputs={"pad": "x" * pad, "number": number}):
                pass
def kill(count, steps, pad):  # a run with many tracers leaves as many spools as many runs
    if not os.fork():
        tracers = []
        for _ in range(count):
            hive = st.HoneyHive(api_key="k", base_url=URL)
            tracers.append(st.Tracer(hive, spool=SPOOL, exit_timeout=0.3))
            with tracers[-1].session("killed"):
                for number in range(steps):
                    with tracers[-1].span("killed", inputs={"pad": "x" * pad}):
                        pass
        os._exit(0)
    os.wait()
def used():
    return sum(
        os.stat(os.path.join(folder, name)).st_blocks * 512
        for folder, _, files in os.walk(SPOOL) for name in files
    )
"""
NOWHERE = "http://127.0.0.1:9"

ORPHANS = """
kill(100, 1, 0)
init()
resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
steps("mine", 1)
for _ in range(20):
    time.sleep(0.05)
    open("/dev/null").close()
print("opened")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_spools_of_killed_runs_leave_descriptors_for_the_program(tmp_path: Path) -> None:
    """100 runs were killed while the backend was down. The next one may open 80 files, and opens
    one of its own every now and then.
    """
    program = run(
        IMPORTS + ORPHANS, tmp_path, NOWHERE, str(tmp_path / "spool"),
        SESSIONTRACE_SPOOL_IO="write",
    )  # fmt: skip
    assert program.stdout == "opened\n"


QUOTA = """
kill(20, 20, 5_000)
init()
steps("mine", 60, 5_000)
time.sleep(2)
steps("mine", 1)
time.sleep(1.5)
report = st.stats()
print(json.dumps([used(), report.destinations["honeyhive"].evicted]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_quota_holds_over_killed_runs_and_the_oldest_goes_first(tmp_path: Path) -> None:
    """20 killed runs left 2 MB for a backend that is down, and the quota is 1 MiB. The next run
    keeps all its own records, says that others were evicted, and holds the quota.
    """
    program = run(
        IMPORTS + QUOTA, tmp_path, NOWHERE, str(tmp_path / "spool"),
        SESSIONTRACE_SPOOL_QUOTA=str(1 << 20),
    )  # fmt: skip
    size, evicted = json.loads(program.stdout)
    assert size <= (1 << 20) + (512 << 10)
    assert evicted == 0
    assert "evicted" in program.stderr


CHANGED = """
init()
steps("step", 3_000, 100)  # the sender's thread is importing meanwhile, and has read nothing
for folder, _, files in os.walk(SPOOL):
    for name in sorted(files):
        path = os.path.join(folder, name)
        text = open(path, "rb").read()
        at = text.find(b'"step 2900"')
        if at >= 0:
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(b'"stop 2900"')
            print("changed")
open(SPOOL + ".go", "w").close()
st.flush(20)
"""


def test_a_changed_letter_is_not_delivered(backend: Backend, tmp_path: Path) -> None:
    """A letter of one record changes on the disk while the backend is down. The record would
    arrive wrong; the others arrive.
    """
    backend.responder = lambda request: answer(
        200 if (tmp_path / "spool.go").exists() else 503, headers={"Retry-After": "0"}
    )
    program = run(
        IMPORTS + CHANGED, tmp_path, backend.url, str(tmp_path / "spool"),
    )  # fmt: skip
    assert program.stdout == "changed\n"
    assert "stop 2900" not in names(backend)
    assert "step 2999" in names(backend)


REFUSED = """
init()
def wait(done):
    deadline = time.monotonic() + 3
    while not done(st.stats().destinations["honeyhive"]) and time.monotonic() < deadline:
        time.sleep(0.01)
with st.session("s"):
    wait(lambda lane: lane.acked)
    for number in range(6):
        with st.span(f"step {number}"):
            pass
        wait(lambda lane: lane.rejected > number or lane.state == "blocked")
"""

LATER = """
init()
steps("later", 1)
st.flush(15)
deadline = time.monotonic() + 10
while time.monotonic() < deadline and not os.path.exists(SPOOL + ".done"):
    time.sleep(0.02)
"""


def test_a_backend_that_refuses_single_records_gets_them_later(
    backend: Backend, tmp_path: Path
) -> None:
    """A program records one step now and then, and the backend says 422 to each of them. The next
    run finds the backend repaired: everything is delivered.
    """
    spool = tmp_path / "spool"
    backend.responder = lambda request: answer(422 if b'"step ' in request.body else 200)
    run(IMPORTS + REFUSED, tmp_path, backend.url, str(spool))
    backend.requests.clear()

    def take(request: object) -> object:
        if {f"step {number}" for number in range(6)} <= names(backend):
            Path(f"{spool}.done").touch()
        return answer()

    backend.responder = take  # type: ignore[assignment]
    run(IMPORTS + LATER, tmp_path, backend.url, str(spool))
    assert {f"step {number}" for number in range(6)} <= names(backend)


BROKEN = """
init()
steps("step", 3)
print(st.flush(10).complete)
"""


def test_a_reply_that_breaks_off_is_no_delivery(backend: Backend, tmp_path: Path) -> None:
    """A 200 whose JSON ends early does not say what the backend took: the batch is sent again."""
    replies = [b'{"success": true, "event_ids": ["']

    def respond(request: object) -> object:
        return answer(200, replies.pop()) if replies else answer()

    backend.responder = respond  # type: ignore[assignment]
    program = run(IMPORTS + BROKEN, tmp_path, backend.url, str(tmp_path / "spool"))
    assert program.stdout == "True\n"
    bodies = [request.body for request in backend.requests]
    assert len(bodies) > len(set(bodies))
