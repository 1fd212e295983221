"""Sampling by what became of a session, end to end: real programs, a real backend, and SIGKILL."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_backend import Backend
from support.subprocesses import run

FIRST = """
import json, os, signal, sys
import sessiontrace as st

def hive(name):
    return st.HoneyHive(api_key="hh_key_of_" + name, base_url=sys.argv[1], name=name)

def one(name, steps=2, **more):
    with st.session(name, **more) as session:
        for number in range(steps):
            with st.span(f"{name} {number}", type="tool"):
                pass
        yield session
"""

PROGRAM = (
    FIRST
    + """
keep = st.Sample(rate=0.0, keep_errors=True, score_below=0.5)
st.init(hive("a"), hive("b"), spool=sys.argv[2], sample=keep)
for number in range(20):
    list(one("dull"))
for session in one("disliked"):
    st.score("helpful", 0.1)
for session in one("liked"):
    st.score("helpful", 0.9)
try:
    with st.session("failed"), st.span("failed 0", type="tool"):
        raise ValueError("no")
except ValueError:
    pass
with st.session("recovered"):
    try:
        with st.span("recovered 0", type="tool"):
            raise ValueError("no")
    except ValueError:
        pass
for session in one("late"):
    pass
st.score("helpful", 0.0, session_id=session.session_id)
"""
)

ENDS = (
    PROGRAM
    + """
report = st.shutdown(timeout=10)
print(json.dumps({"accepted": report.stats.accepted, "complete": report.complete, **{
    name: [one.acked, one.sampled, one.evicted + one.rejected + one.pending]
    for name, one in report.stats.destinations.items()}}))
print(report, file=sys.stderr)
"""
)

KILLED = (
    PROGRAM
    + """
open_still = st.session("open").__enter__()
for number in range(50):
    with st.span(f"open {number}", type="tool"):
        pass
print("here", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
)

NEXT = (
    FIRST
    + """
import time
st.init(hive("a"), hive("b"), spool=sys.argv[2])
with st.session("next"):
    pass
until = time.monotonic() + 15
while time.monotonic() < until:
    books = st.flush(timeout=5).stats.destinations
    if all(one.adopted_acked and not one.adopted_pending for one in books.values()):
        break
    time.sleep(0.02)
st.shutdown(timeout=5)
"""
)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def arrived(backend: Backend) -> Counter[str]:
    """How often each event arrived, of both destinations."""
    found: list[dict[str, Any]] = [
        event for body in backend.bodies("/v1/events/batch") for event in body["events"]
    ]
    return Counter(event["event_name"] for event in found)


def test_only_what_matters_is_sent_and_the_books_say_so(backend: Backend, tmp_path: Path) -> None:
    """Of 25 sessions three matter: one that failed, one in which a step failed, one that scored
    low before its end. Each of two destinations gets those and counts the rest as sampled.
    """
    done = run(ENDS, tmp_path, backend.url, str(tmp_path / "spool"))
    books = json.loads(done.stdout)
    kept = {"disliked 0": 2, "disliked 1": 2, "failed 0": 2, "recovered 0": 2}
    assert arrived(backend) == kept
    assert books["complete"]
    # disliked: start, two steps, end; the other two one step less
    assert books["a"] == books["b"] == [10, books["accepted"] - 10, 0]
    assert "sampled out" in done.stderr
    assert list((tmp_path / "spool").glob("*/*.seg")) == []


def test_what_was_undecided_when_its_program_was_killed_is_kept(
    backend: Backend, tmp_path: Path
) -> None:
    """A session is open, and nothing wrong with it yet, when SIGKILL strikes: its records were on
    the disk all the while, and the next run delivers them with an end.
    """
    backend.down()
    run(KILLED, tmp_path, backend.url, str(tmp_path / "spool"), expect=-signal.SIGKILL)
    backend.up()
    run(NEXT, tmp_path, backend.url, str(tmp_path / "spool"))
    came = arrived(backend)
    assert {name for name in came if name.startswith("open")} == {f"open {n}" for n in range(50)}
    assert {"disliked 0", "failed 0", "recovered 0"} <= came.keys()


def test_a_session_that_is_open_at_the_exit_is_kept(backend: Backend, tmp_path: Path) -> None:
    """The exit ends it for the program (``metadata.abandoned``), which is reason enough."""
    text = (
        FIRST
        + """
keep = st.Sample(rate=0.0, keep_errors=True)
st.init(hive("a"), spool=sys.argv[2], sample=keep, exit_timeout=15)
list(one("dull"))
session = st.session("open").__enter__()
with st.span("open 0", type="tool"):
    pass
"""
    )
    run(text, tmp_path, backend.url, str(tmp_path / "spool"))
    assert arrived(backend) == {"open 0": 1}


def test_a_session_with_a_rate_of_its_own_is_not_decided_again(
    backend: Backend, tmp_path: Path
) -> None:
    """``sample=1.0`` at the session means that this one is wanted, whatever becomes of it."""
    text = (
        FIRST
        + """
st.init(hive("a"), spool=sys.argv[2], sample=st.Sample(rate=0.0, keep_errors=True))
list(one("dull"))
list(one("wanted", sample=1.0))
list(one("unwanted", sample=0.0))
print(json.dumps(dict(st.shutdown(timeout=10).stats.dropped)))
"""
    )
    done = run(text, tmp_path, backend.url, str(tmp_path / "spool"))
    assert arrived(backend) == {"wanted 0": 1, "wanted 1": 1}
    assert json.loads(done.stdout) == {"sampled": 4}
