"""``sessiontrace tail`` and ``export`` as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.openapi_client import asking
from support.records import T0, event, id_of, session_end, session_start, write
from support.server_process import serving
from support.subprocesses import environment

from sessiontrace.model.ids import new_id

HOSTILE = "</pre><script>alert(1)</script>\x1b[31m\u202e"


def run(home: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "sessiontrace", *words],
        env=environment(home), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def sid(db: Path) -> str:
    found = new_id()
    plan = event(found, T0, 400, event_type="chain", event_name="plan")
    call = event(found, T0 + 10, 300, parent_id=id_of(plan), event_type="model",
                 event_name=HOSTILE, inputs={"q": HOSTILE}, error="ValueError: no")  # fmt: skip
    write(db, session_end(found, took=500, inputs={"n": 1}), plan, call)
    return found


class Tail:
    """A running tail, read line by line."""

    def __init__(self, home: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sessiontrace", "tail", *words],
            env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        assert self.process.stderr.readline().startswith("following ")

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=10)
        assert err == ""
        return self.process.returncode


@pytest.fixture
def tails() -> Iterator[list[Tail]]:
    running: list[Tail] = []
    yield running
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def test_tail_prints_what_comes_and_nothing_of_before(
    tmp_path: Path, db: Path, sid: str, tails: list[Tail]
):
    """A session opens, does something, fails, ends: four lines, in that order, escaped."""
    tail = Tail(tmp_path, "--db", str(db))
    tails.append(tail)
    new = new_id()
    write(db, session_start(new, event_name="fresh"))
    assert "▶ fresh" in tail.line()
    write(db, event(new, event_name="step"), event(new, event_name=HOSTILE, error="no"))
    line = tail.line()
    assert "■   step  100 ms" in line
    line = tail.line()
    assert "\\x1b[31m" in line
    assert "✗ no" in line
    assert "\x1b[31m" not in line
    write(db, session_end(new, event_name="fresh", took=2000))
    assert "▪ fresh  ended · 2.00 s · 2 steps · 1 error" in tail.line()
    assert tail.end() == 0


def test_tail_narrows_and_speaks_json(tmp_path: Path, db: Path, sid: str, tails: list[Tail]):
    """For jq: one session, its failures, an object a line."""
    tail = Tail(tmp_path, "--db", str(db), "--session", sid[:20], "--errors", "--json")
    tails.append(tail)
    write(db, event(new_id(), error="other"), event(sid, event_name="fine"))
    write(db, event(sid, event_name="bad", error="no"))
    found = json.loads(tail.line())
    assert (found["kind"], found["name"], found["error"]) == ("event", "bad", "no")
    assert tail.end() == 0


def test_tail_follows_a_query_and_its_times_run_forward(
    tmp_path: Path, db: Path, sid: str, tails: list[Tail]
):
    """The line of an end has the time of the end: it began twenty minutes ago."""
    tails.append(Tail(tmp_path, "--db", str(db), "tag:vip", "-status:open"))
    vip, other = new_id(), new_id()
    step = event(vip, T0 + 60_000, 5_000, event_name="late")
    early = event(vip, T0 + 1_000, 2_000, event_name="early")
    write(db, session_end(other, T0), step, early,
          session_end(vip, T0, 1_200_000, metadata={"tags": ["vip"]}, error="E: x"))  # fmt: skip
    lines = [tails[-1].line() for _ in range(3)]
    assert [name in line for name, line in zip(("early", "late", "chat"), lines, strict=True)] == (
        [True] * 3
    )
    assert [line[:8] for line in lines] == sorted(line[:8] for line in lines)
    assert len({line[:8] for line in lines}) == 3
    assert "failed · 20 min 00 s" in lines[2]


def test_json_is_the_whole_session(tmp_path: Path, db: Path, sid: str):
    """With the records of its steps, as `sessions show --json` prints them."""
    found = json.loads(run(tmp_path, "export", "last", "--db", str(db)).stdout)
    assert found["session"]["inputs"] == {"n": 1}
    assert [one["event_name"] for one in found["events"]] == ["plan", HOSTILE]
    shown = run(tmp_path, "sessions", "show", sid, "--json", "--db", str(db)).stdout
    assert found == json.loads(shown)


def test_otlp_can_be_sent_to_a_collector(tmp_path: Path, db: Path, sid: str):
    """Our own server takes it as any collector would: the same tree comes out."""
    exported = run(tmp_path, "export", sid[:20], "--db", str(db), "--format", "otlp").stdout
    with serving(tmp_path / "other" / "store.db") as server:
        assert asking(server)("POST", "/v1/traces", json.loads(exported)) == {}
        shown = server.json(f"/api/sessions/{sid}")
        assert (shown["session"]["name"], shown["session"]["duration"]) == ("chat", 500.0)
        steps = {one["name"]: one for one in shown["events"]}
        assert steps[HOSTILE]["parent_id"] == steps["plan"]["event_id"]
        assert steps["plan"]["parent_id"] == sid


class Read(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.links: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "onload")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_is_one_inert_file(tmp_path: Path, db: Path, sid: str):
    """To attach to a ticket: nothing to run, nothing to fetch, and only the owner may read it."""
    out = tmp_path / "session.html"
    run(tmp_path, "export", sid, "--db", str(db), "--format", "html", "-o", str(out))
    assert os.stat(out).st_mode & 0o777 == 0o600
    text = out.read_text()
    page = Read(text)
    assert "script" not in page.tags
    assert page.links == []
    assert page.tags.count("details") == 2
    assert "default-src 'none'" in text
    assert any(HOSTILE in one for one in page.texts)
    assert any('"n": 1' in one for one in page.texts)
    assert "ValueError: no" in page.texts


def test_a_session_that_is_not_here_is_told(tmp_path: Path, db: Path, sid: str):
    """One line, and no file."""
    out = tmp_path / "none.html"
    done = run(tmp_path, "export", "ffff", "--db", str(db), "-o", str(out), expect=1)
    assert "no session starts with" in done.stderr
    assert not out.exists()
