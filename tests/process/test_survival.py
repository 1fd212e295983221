"""The second promise end to end: real programs, a real backend, and SIGKILL."""

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

WRITER = """
import os, signal, sys
import sessiontrace as st

base_url, spool, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
st.init(st.HoneyHive(api_key="hh_first_key", base_url=base_url), spool=spool, service="writer")
session = st.session("left open", user="ada", inputs={"question": "?"})
session.__enter__()
for number in range(count):
    with st.span(f"step {number}", type="tool", inputs={"number": number}) as span:
        span.set(outputs={"square": number * number})
print(session.session_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

READER = """
import sys
import sessiontrace as st

base_url, spool, key = sys.argv[1], sys.argv[2], sys.argv[3]
st.init(st.HoneyHive(api_key=key, base_url=base_url), spool=spool, service="reader")
with st.session("the next run"):
    pass
deadline = __import__("time").monotonic() + 15
while __import__("time").monotonic() < deadline:
    delivery = st.flush(timeout=5).stats.destinations["honeyhive"]
    if delivery.adopted_acked >= int(sys.argv[4]) and not delivery.adopted_pending:
        break
    __import__("time").sleep(0.02)
print(delivery)
st.shutdown(timeout=5)
"""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def events(backend: Backend) -> list[dict[str, Any]]:
    return [e for body in backend.bodies("/v1/events/batch") for e in body["events"]]


def leave_behind(backend: Backend, home: Path, count: int) -> str:
    """Run the writer against a backend that refuses connections; the session it left open."""
    backend.down()
    ended = run(WRITER, home, backend.url, str(home / "spool"), str(count), expect=-signal.SIGKILL)
    backend.up()
    return ended.stdout.strip()


def test_B21_everything_a_killed_program_had_finished_arrives_with_the_next_run(
    backend: Backend, tmp_path: Path
) -> None:
    """A program ends 1000 spans while its backend is down and is killed at once with SIGKILL.

    The next program with the same spool and the same destination delivers all of them, their
    session first, and ends the session that was left open.
    """
    session_id = leave_behind(backend, tmp_path, 1000)
    run(READER, tmp_path, backend.url, str(tmp_path / "spool"), "hh_first_key", "1000")

    arrived = [event for event in events(backend) if event["session_id"] == session_id]
    assert Counter(e["event_name"] for e in arrived) == Counter(f"step {n}" for n in range(1000))
    assert all(e["outputs"] == {"square": e["inputs"]["number"] ** 2} for e in arrived)

    ours = [
        request
        for request in backend.requests
        if session_id.encode() in request.path.encode() + request.body
    ]
    assert ours[0].path == "/v1/sessions"
    assert ours[0].json["session_name"] == "left open"
    ended = [r.json for r in backend.requests if r.path == f"/v1/events/{session_id}"]
    assert [body["metadata"]["abandoned"] for body in ended] == [True]
    assert ended[0]["end_time"] >= arrived[-1]["end_time"]
    assert not list((tmp_path / "spool").glob("*/*.seg")), "what is delivered is removed"


@pytest.mark.parametrize("changed", ["key", "base_url"])
def test_another_key_or_address_delivers_nothing_of_it_and_removes_nothing(
    backend: Backend, tmp_path: Path, changed: str
) -> None:
    """The data of one customer must not go to another: a program with another key, or the same
    key for another server, leaves the killed program's spool alone, and the CLI shows it.
    """
    session_id = leave_behind(backend, tmp_path, 50)
    spool = tmp_path / "spool"
    (left,) = {path.parent for path in spool.glob("*/*.seg")}
    before = {path.name: path.stat().st_size for path in left.iterdir()}

    with Backend() as other:
        url = other.url if changed == "base_url" else backend.url
        key = "hh_second_key" if changed == "key" else "hh_first_key"
        run(READER.replace("+ 15", "+ 2"), tmp_path, url, str(spool), key, "0")
        assert session_id not in json.dumps(events(other) + events(backend))

    assert {path.name: path.stat().st_size for path in left.iterdir()} == before
    shown = run(
        "from sessiontrace.cli import main; import sys; sys.argv[0] = 'sessiontrace'; main()",
        tmp_path, "spool", "status", str(spool),
    ).stdout  # fmt: skip
    assert left.name in shown
    assert "honeyhive" in shown
    assert " 52" in shown, "50 events, the session's start, and the end that recovery will give it"


def test_a_host_name_can_still_be_resolved_while_the_interpreter_exits(
    backend: Backend, tmp_path: Path
) -> None:
    """A short program ends before its first batch is sent: the exit's flush must look the host up
    when Python's thread pools are gone already.
    """
    url = backend.url.replace("127.0.0.1", "localhost")
    program = """
    import sys, sessiontrace as st
    st.init(st.HoneyHive(api_key="k", base_url=sys.argv[1]), spool=sys.argv[2])
    with st.span("quick"):
        pass
    """
    ended = run(program, tmp_path, url, str(tmp_path / "spool"))
    assert [e["event_name"] for e in events(backend)] == ["quick"]
    assert ended.stderr == ""
