"""The local store's file is moved, shared and shown: nothing goes into a file without a name."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.server_process import serving
from support.subprocesses import environment, run

PROGRAM = """
import os, sys, time
import sessiontrace as st
if len(sys.argv) > 1 and sys.argv[1].startswith("0"):
    os.umask(int(sys.argv[1], 8))
st.init("local", spool=False)
with st.session("first"):
    with st.span("step"):
        pass
report = st.flush(10)
print(report.complete)
"""

REMOVED = """
import pathlib
for path in pathlib.Path(os.environ["SESSIONTRACE_STORE"]).parent.glob("store.db*"):
    path.unlink()
with st.session("second"):
    pass
print(st.flush(10).complete)
from sessiontrace.cli import main
main(["sessions", "list", "--json"])
"""


def test_a_removed_store_is_made_again(tmp_path: Path) -> None:
    """``rm store.db*`` while a program records: what follows is in a file that has a name."""
    program = run(PROGRAM + REMOVED, tmp_path, SESSIONTRACE_STORE=str(tmp_path / "store.db"))
    first, second, rows = program.stdout.split("\n", 2)
    assert (first, second) == ("True", "True")
    assert "second" in [row["name"] for row in json.loads(rows)]


def test_a_link_to_nothing_makes_no_file_for_others(tmp_path: Path) -> None:
    """A dangling link would make a file that all users can read."""
    (tmp_path / "store.db").symlink_to(tmp_path / "elsewhere.db")
    run(PROGRAM, tmp_path, "0022", SESSIONTRACE_STORE=str(tmp_path / "store.db"))
    target = tmp_path / "elsewhere.db"
    assert not target.exists() or stat.S_IMODE(target.stat().st_mode) == 0o600


def test_directories_of_a_store_are_private(tmp_path: Path) -> None:
    """A container often runs with umask 0."""
    run(PROGRAM, tmp_path, "0000", SESSIONTRACE_STORE=str(tmp_path / "new" / "deep" / "store.db"))
    for path in (tmp_path / "new", tmp_path / "new" / "deep"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_store_that_others_can_write_is_warned_about(tmp_path: Path) -> None:
    """Another user could put a session there, or read what is recorded."""
    path = tmp_path / "store.db"
    run(PROGRAM, tmp_path, SESSIONTRACE_STORE=str(path))
    path.chmod(0o666)
    program = run(PROGRAM, tmp_path, SESSIONTRACE_STORE=str(path))
    assert "store.db" in program.stderr


def event(number: int, name: str, inputs: str) -> str:
    """An event in HoneyHive's form, its inputs as JSON."""
    return (
        f'{{"event_id":"01a223f5-72fb-7001-87a1-{number:012d}","event_name":"{name}",'
        '"session_id":"01a223f5-72fb-7001-87a1-fee8cf7b1b89","event_type":"tool","source":"s",'
        f'"start_time":1790000000000,"end_time":1790000000001,"inputs":{inputs}}}'
    )


@pytest.mark.parametrize("levels", [252, 254, 600])
def test_one_deep_event_spoils_no_other(tmp_path: Path, levels: int) -> None:
    """A batch holds an event that is nested too deeply: the others are stored, and the session is
    shown, exported and searched.
    """
    deep = '{"a":' * levels + "1" + "}" * levels
    body = f'{{"events":[{event(1, "deep", deep)},{event(2, "plain", "{}")}]}}'
    path = tmp_path / "store.db"
    with serving(path) as server:
        server.request("/v1/events/batch", "POST", body.encode(), Content_Type="application/json")
        (row,) = server.json("/api/sessions")["sessions"]
        assert "plain" in json.dumps(server.json(f"/api/sessions/{row['session_id']}"))
        assert server.json("/api/sessions?text=plain")["sessions"]
        reply = server.request("/v1/events/export", "POST", b'{"project":"p","filters":[]}',
                               Content_Type="application/json")  # fmt: skip
        assert reply[0] == 200
    done = subprocess.run(
        [sys.executable, "-m", "sessiontrace", "export", "last", "--db", str(path)],
        env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "plain" in done.stdout


def test_the_browsers_command_line_has_no_token(tmp_path: Path) -> None:
    """Other users of the machine read command lines."""
    browser, seen, token = tmp_path / "browser", tmp_path / "seen", tmp_path / "token"
    browser.write_text(f'#!/bin/sh\necho "$@" >> {seen}\n')
    browser.chmod(0o700)
    token.write_text("a-token-of-more-than-20-characters")
    token.chmod(0o600)
    before = os.environ.get("BROWSER")
    os.environ["BROWSER"] = f"{browser} %s"
    try:
        with serving(tmp_path / "store.db", "--token-file", str(token), "--open"):
            deadline = 100
            while not seen.exists() and deadline:
                deadline -= 1
                time.sleep(0.02)
    finally:
        os.environ.pop("BROWSER") if before is None else os.environ.update(BROWSER=before)
    assert seen.read_text().strip()
    assert "a-token" not in seen.read_text()
