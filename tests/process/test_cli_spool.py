"""The commands over a spool's directory, each as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.fake_backend import Backend, answer, eventually
from support.subprocesses import REPO, environment
from support.tracers import arrived, hive, names, settled, steps, tracing

from sessiontrace.cli.commands import spool
from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.model.record import EVENT, Record
from sessiontrace.spool.status import inspect


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def command(
    tmp_path: Path, backend: Backend, *words: str, expect: int = 0, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    env = environment(
        tmp_path, SESSIONTRACE_DESTINATIONS="honeyhive", HH_API_KEY="k", HH_API_URL=backend.url
    )
    done = subprocess.run(
        [sys.executable, "-m", "sessiontrace", "spool", *words],
        env=env, cwd=REPO, capture_output=True, text=True, timeout=40, input=text, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def leave(backend: Backend, root: Path, count: int, inputs: str = "x") -> None:
    """What a program leaves whose backend is down."""
    backend.responder = lambda request: answer(503)
    with tracing(root, hive(backend, key="k")) as tracer:
        steps(tracer, count, text=inputs)
    backend.responder = lambda request: answer()
    backend.requests.clear()


@pytest.mark.parametrize("verb", ["flush", "drain"])
def test_what_ended_programs_left_is_delivered_from_outside(
    backend: Backend, tmp_path: Path, verb: str
) -> None:
    """Two programs ended with their backend down. A sidecar, which shares their volume and has the
    key in its environment, delivers for them and leaves the directory empty.
    """
    root = tmp_path / "spool"
    leave(backend, root, 300)
    leave(backend, root, 200)
    done = command(tmp_path, backend, verb, str(root))
    assert "honeyhive: 504 records delivered, 0 refused, 0 left" in done.stdout
    assert len({event["event_id"] for event in arrived(backend)}) == 500
    assert inspect(root) == []
    assert "nothing waits" in command(tmp_path, backend, verb, str(root)).stderr


def test_flush_is_bounded_and_says_what_is_left(backend: Backend, tmp_path: Path) -> None:
    """The backend is still down: status 1, the reason, and nothing is lost."""
    root = tmp_path / "spool"
    leave(backend, root, 10)
    backend.responder = lambda request: answer(503)
    done = command(tmp_path, backend, "flush", str(root), "--timeout", "4", expect=1)
    assert "0 records delivered, 0 refused, 12 left (HTTP 503)" in done.stdout
    assert inspect(root)[0].lags[0].pending == 12


def test_a_living_programs_spool_is_not_touched(backend: Backend, tmp_path: Path) -> None:
    """The program still runs, so what it has is its own to deliver, or to drop."""
    root = tmp_path / "spool"
    backend.responder = lambda request: answer(503)
    with tracing(root, hive(backend, key="k")) as tracer:
        steps(tracer, 5)
        assert "nothing waits" in command(tmp_path, backend, "flush", str(root)).stderr
        dropped = command(tmp_path, backend, "drop", str(root), "--yes")
        assert "no spool of a finished program" in dropped.stderr
        assert len(inspect(root)) == 1


def test_drain_follows_until_it_is_interrupted(backend: Backend, tmp_path: Path) -> None:
    """A sidecar runs beside programs that come and go; Ctrl-C ends it in an orderly way."""
    root = tmp_path / "spool"
    leave(backend, root, 5)
    env = environment(
        tmp_path, SESSIONTRACE_DESTINATIONS="honeyhive", HH_API_KEY="k", HH_API_URL=backend.url
    )
    with subprocess.Popen(
        [sys.executable, "-m", "sessiontrace", "spool", "drain", "--follow", str(root)],
        env=env, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as sidecar:  # fmt: skip
        try:
            for _ in range(2):  # the second program ends while the sidecar looks on
                eventually(lambda: len(names(backend)) == 5, 20)
                eventually(lambda: not inspect(root))
                leave(backend, root, 5)
            eventually(lambda: not inspect(root), 20)
        finally:
            sidecar.send_signal(signal.SIGINT)
            out, err = sidecar.communicate(timeout=20)
    assert sidecar.returncode == 0, out + err
    assert "Traceback" not in err


def refused(backend: Backend, root: Path) -> None:
    backend.responder = lambda request: answer(400 if b'"bad' in request.body else 200)
    with tracing(root, hive(backend, key="k")) as tracer:
        with tracer.session("s"):
            for number in range(8):
                kind = "bad \x1b[31m\n" if number == 3 else "good"
                with tracer.span(f"{kind} {number}"):
                    pass
        settled(tracer)


def test_dead_letters_are_listed_with_their_reason_and_no_escape_sequence(
    backend: Backend, tmp_path: Path
) -> None:
    """A recorded name moves the cursor and colours the terminal: here it does neither."""
    root = tmp_path / "spool"
    refused(backend, root)
    shown = command(tmp_path, backend, "dead", str(root)).stdout
    assert "HTTP 400" in shown
    assert "\\x1b[31m" in shown
    assert "\x1b" not in shown
    (letter,) = (
        json.loads(line)
        for line in command(tmp_path, backend, "dead", str(root), "--json").stdout.splitlines()
    )
    assert letter["record"]["event_name"].startswith("bad")


def test_dead_letters_are_sent_again_byte_for_byte(backend: Backend, tmp_path: Path) -> None:
    """The backend learned to take them: `retry` delivers them with their ids, once."""
    root = tmp_path / "spool"
    refused(backend, root)
    line = (root / "dead" / "honeyhive.jsonl").read_text()
    before = json.loads(line)["record"]
    before.pop("start_nanos", None)  # HoneyHive's events have no such field
    backend.responder = lambda request: answer()
    backend.requests.clear()
    done = command(tmp_path, backend, "retry", "honeyhive", str(root))
    assert "1 dead letter sent again: 1 delivered, 0 refused, 0 left" in done.stdout
    assert arrived(backend) == [before]
    assert list((root / "dead").iterdir()) == []
    wrong = command(tmp_path, backend, "retry", "posthog", str(root), expect=2)
    assert "not configured" in wrong.stderr


def test_drop_asks_and_then_removes(backend: Backend, tmp_path: Path) -> None:
    """What will never be delivered, because its key is gone, leaves on request only."""
    root = tmp_path / "spool"
    leave(backend, root, 5)
    leave(backend, root, 6)
    assert (
        "7 records"
        not in command(tmp_path, backend, "drop", str(root), text="n\n", expect=130).stderr
    )
    first = inspect(root)[0].spool_id
    assert (
        "1 spool removed"
        in command(tmp_path, backend, "drop", str(root), "--id", first, "--yes").stdout
    )
    assert len(inspect(root)) == 1
    assert "1 spool removed" in command(tmp_path, backend, "drop", str(root), text="y\n").stdout
    assert inspect(root) == []
    for options in ([], ["--dead"]):
        done = CliRunner().invoke(spool.command, ["drop", str(root), *options])
        assert (done.exit_code, done.output.startswith("no ")) == (0, True), "nothing to ask for"


def test_records_of_another_key_are_reported_and_sent_on_request(
    backend: Backend, tmp_path: Path
) -> None:
    """A program ran with a key that was wrong. With the right one `flush` says what waits, exits
    with 1, and sends it once the user asks for that.
    """
    root = tmp_path / "spool"
    backend.responder = lambda request: answer(503)
    with tracing(root, hive(backend, key="old")) as tracer:
        steps(tracer, 10)
    backend.responder = lambda request: answer()
    done = command(tmp_path, backend, "flush", str(root), expect=1)
    assert "12 records wait for a honeyhive with another key or address" in done.stderr
    (spool,) = inspect(root)
    fingerprint = spool.lags[0].consumer.fingerprint[:8]
    adopt = ("flush", str(root), "--adopt-from", fingerprint)
    command(tmp_path, backend, *adopt, expect=130, text="n\n")
    assert len(inspect(root)) == 1
    done = command(tmp_path, backend, *adopt, "--yes")
    assert "12 records delivered" in done.stdout
    assert inspect(root) == []


def test_A34_status_shows_records_of_another_key_and_what_to_do(
    backend: Backend, tmp_path: Path
) -> None:
    """The key was rotated. `status` exits with 1 and names the commands, which work as they are
    printed: one shows the records, one sends them.
    """
    root = tmp_path / "spool"
    backend.responder = lambda request: answer(503)
    with tracing(root, hive(backend, key="old")) as tracer:
        steps(tracer, 3, text="secret question")
    backend.responder = lambda request: answer()
    done = command(tmp_path, backend, "status", str(root), expect=1)
    assert "5 records wait for a honeyhive with another key or address" in done.stderr
    assert "the next program with the same spool" not in done.stdout
    command(tmp_path, backend, "status", str(root), "--json", expect=1)
    shown, sent = re.findall(r"sessiontrace spool ([^;\n]+)", done.stderr)
    table = command(tmp_path, backend, *shown.split()).stdout
    assert all(f"step {number}" in table for number in range(3))
    lines = command(tmp_path, backend, *shown.split(), "--json", "--limit", "3").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["start", "event", "event"]
    assert json.loads(lines[1])["record"]["inputs"] == {"number": 0, "text": "secret question"}
    assert len(inspect(root)) == 1, "to look at them changes nothing"
    assert "5 records delivered" in command(tmp_path, backend, *sent.split(), "--yes").stdout
    command(tmp_path, backend, "status", str(root))


def test_A32_a_directory_of_another_user_is_said(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo sessiontrace spool flush DIR` would find nothing: only the owner's spools count."""
    root = tmp_path / "spool"
    leave(backend, root, 2)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for verb in ("status", "flush", "drain", "dead", "drop"):
        outcome = CliRunner().invoke(spool.command, [verb, str(root)])
        assert outcome.exit_code == 1
        assert "belongs to another user" in outcome.output
    monkeypatch.undo()
    assert len(inspect(root)) == 1


def test_A34_dead_letters_go_to_the_key_that_refused_them(backend: Backend, tmp_path: Path) -> None:
    """The key was rotated since: `retry` keeps them and says so, until the user wants them sent."""
    root = tmp_path / "spool"
    backend.responder = lambda request: answer(400 if b'"bad' in request.body else 200)
    with tracing(root, hive(backend, key="old")) as tracer:
        with tracer.session("s"), tracer.span("bad"):
            pass
        with tracer.session("s"), tracer.span("good"):
            pass
        settled(tracer)
    backend.responder = lambda request: answer()
    letters = root / "dead" / "honeyhive.jsonl"
    before = letters.read_bytes()
    done = command(tmp_path, backend, "retry", "honeyhive", str(root), expect=1)
    assert "1 dead letter stayed" in done.stderr
    assert "--any-key" in done.stderr
    assert letters.read_bytes() == before
    done = command(tmp_path, backend, "retry", "honeyhive", str(root), "--any-key")
    assert "1 dead letter sent again: 1 delivered" in done.stdout
    assert not letters.exists()


def test_A29_what_retry_cannot_send_stays(backend: Backend, tmp_path: Path) -> None:
    """A half line of a full disk stays beside its neighbours, which are sent, and so does a file
    that a killed `retry` had claimed.
    """
    root = tmp_path / "spool"
    refused(backend, root)
    backend.responder = lambda request: answer()
    letters = root / "dead" / "honeyhive.jsonl"
    whole = letters.read_bytes()
    letters.rename(letters.with_name("honeyhive.jsonl.999999999"))
    letters.write_bytes(whole[: len(whole) // 2])
    letters.chmod(0o600)
    assert DeadLetters(letters.parent).put("honeyhive", Record(EVENT, b"*", b'{"x":1}'), "no")
    assert letters.read_bytes().count(b"\n") == 2
    letters.write_bytes(letters.read_bytes().splitlines(keepends=True)[0])
    done = command(tmp_path, backend, "retry", "honeyhive", str(root), expect=1)
    assert "1 dead letter sent again: 1 delivered" in done.stdout
    assert letters.read_bytes().rstrip(b"\n") == whole[: len(whole) // 2]
    assert list(letters.parent.iterdir()) == [letters]


def test_A29_retry_without_a_disk_keeps_the_letters(backend: Backend, tmp_path: Path) -> None:
    """The spool's directory is one that programs refuse: what is taken from the file would die with
    the command.
    """
    root = tmp_path / "spool"
    refused(backend, root)
    before = (root / "dead" / "honeyhive.jsonl").read_bytes()
    backend.responder = lambda request: answer(503)
    root.chmod(0o777)
    command(tmp_path, backend, "retry", "honeyhive", str(root), "--timeout", "0.2", expect=1)
    assert (root / "dead" / "honeyhive.jsonl").read_bytes() == before
