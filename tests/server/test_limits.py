"""What a hostile or unlucky client can do to the local server, a row for each (F01-F03)."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.openapi_client import asking
from support.records import eventually
from support.server_process import Served, serving
from support.subprocesses import environment

from sessiontrace.model.ids import new_id
from sessiontrace.server.connection_limits import Connections

JSON = {"Content_Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("limits") / "store.db") as served:
        yield served


def rss(server: Served) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def busy_s(server: Served) -> float:
    """The processor's time that it has taken: what a loaded machine does not change."""
    spent = psutil.Process(server.process.pid).cpu_times()
    return float(spent.user + spent.system)


BOMB = gzip.compress(b'{"events": [' + b" " * 50_000_000 + b"]}", mtime=0)
DEEP = b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
MANY = b'{"events": [' + b",".join([b"{}"] * 1_000_000) + b"]}"


@pytest.mark.parametrize(
    ("path", "body", "headers", "statuses"),
    [
        ("/v1/events/batch", b'{"a": "' + b"x" * (17 << 20) + b'"}', {}, {413}),
        ("/v1/events/batch", BOMB, {"Content_Encoding": "gzip"}, {413}),
        ("/v4/logs", BOMB, {"Content_Encoding": "gzip"}, {413}),
        ("/v1/traces", BOMB, {"Content_Encoding": "gzip"}, {413}),
        ("/batch/", BOMB, {}, {413}),
        ("/v1/events/batch", DEEP, {}, {400}),
        ("/v4/logs", DEEP, {}, {422}),
        ("/batch/", DEEP, {}, {400}),
        ("/v1/traces", DEEP, {}, {400}),
        ("/api/score", DEEP, {}, {400}),
        ("/api/markdown", DEEP, {}, {400}),
        ("/api/markdown", b'{"texts": ["' + b"[" * 200_001 + b'"]}', {}, {413}),
        ("/v1/events/batch", MANY, {}, {413}),
        ("/batch/", MANY, {}, {413}),
        ("/v1/events/batch", b"\x1f\x8bnonsense", {"Content_Encoding": "gzip"}, {400}),
        ("/v1/events/batch", b"\xff\xfe", {}, {400}),
        ("/v1/events/batch", b"", {}, {400}),
        ("/v1/traces", b"\x0a\xff\xff\xff\xff\x0f", {"Content_Type": "application/x-protobuf"},
         {400, 415}),
    ],
    ids=lambda value: value[:12].decode("latin-1") if isinstance(value, bytes) else None,
)  # fmt: skip
def test_what_is_too_much_is_refused_soon_and_costs_little(
    server: Served, path: str, body: bytes, headers: dict[str, str], statuses: set[int]
):
    """Size, gzip bombs, depth, number of parts, garbage: a status, no traceback, no memory."""
    server.json("/api/sessions")
    before, begun = rss(server), busy_s(server)
    status, _, answered = server.request(path, "POST", body, **{**JSON, **headers})
    assert status in statuses, answered
    assert busy_s(server) - begun < 5
    assert b"Traceback" not in answered
    assert rss(server) - before < 120e6
    assert server.json("/api/sessions")["sessions"] is not None


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/sessions", "/v1/events", "/v1/events/search", "/session/start", "/events",
        "/opentelemetry/v1/traces", "/v1/traces", "/v4/sessions", "/v4/logs", "/v4/projects",
        "/v5/flows/log", "/v5/logs", "/v5/import/otel/v1/traces", "/batch/", "/capture/",
        "/api/projects/1/sessions/values/", "/api/sessions", "/api/score", "/api/live",
        "/api/markdown",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_no_site_reaches_any_api(server: Served, method: str, path: str, headers: dict[str, str]):
    """Reading is refused as writing is, on the vendors' paths as on our own."""
    status, answered, _ = server.request(path, method, b"{}", **{**JSON, **headers})
    assert status == 403
    assert not [name for name in answered if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/v1/events", "/v4/logs", "/batch/", "/v1/traces", "/api/score"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded",
                                  "multipart/form-data; boundary=x", ""])  # fmt: skip
def test_types_that_a_form_may_send_are_refused(server: Served, path: str, kind: str):
    """They would need no leave; only Humanloop's clients name none, and browsers are refused."""
    headers = {"Content_Type": kind} if kind else {}
    status, _, _ = server.request(path, "POST", b"{}", **headers)
    assert status == (415 if kind or not path.startswith("/v4/") else 422)


def test_sql_in_any_parameter_is_a_value(server: Served):
    """Every query is parameterised; FTS's own syntax is not reachable either."""
    ask = asking(server)
    hostile = ["'; DROP TABLE sessions; --", '" OR 1=1 --', "NEAR(", "a AND", "*", '"', "\\", "%00"]
    for text in hostile:
        quoted = text.replace("%", "%25").replace(" ", "%20").replace('"', "%22")
        for path in (f"/api/sessions?q={quoted}", f"/api/histogram?q={quoted}"):
            unclosed = text.count('"') % 2
            ask("GET", path, status=400 if unclosed else 200)
            escaped = path.replace("\\", "\\\\").replace("%22", "%5C%22")
            ask("GET", escaped.replace("q=", "q=%22") + "%22")
        for path in (f"/api/projects/1/sessions/values/?key=name&value={quoted}",
                     f"/v4/projects?filter={quoted}"):  # fmt: skip
            ask("GET", path)
        filters = [{"field": text, "operator": "is", "value": text}]
        ask("POST", "/v1/events/search", {"filters": filters})
    assert ask("GET", "/api/sessions") is not None


def test_the_file_is_its_owners_and_carefully_opened(tmp_path: Path):
    """0600, WAL; the server's faults name a number, not a path to the code."""
    db = tmp_path / "store.db"
    with serving(db) as server:
        asking(server)("POST", "/v1/sessions", {})
        for name in os.listdir(tmp_path):
            if name.startswith("store.db"):
                assert os.stat(tmp_path / name).st_mode & 0o077 == 0
    connection = sqlite3.connect(db)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_body_that_never_comes_holds_nobody_up(server: Served):
    """A slow client waits by itself; others are answered at once."""
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                     b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
                     % server.port)  # fmt: skip
        for _ in range(20):
            server.json("/api/sessions")
        slow.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            slow.recv(1)  # still waited for


def test_many_idle_connections_hold_nobody_up(server: Served):
    """500 that say nothing; the next one is answered."""
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(500)]
    try:
        assert server.json("/api/about")["version"]
    finally:
        for one in idle:
            one.close()


class Wire:
    """A connection's protocol and its transport in one."""

    def __init__(self) -> None:
        self.transport = self
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_idle_connections_are_closed_and_busy_ones_are_not():
    """After a time without a request, and the longest idle first when there are too many."""
    connections = Connections(idle_s=35, most=2)
    first, busy, last = Wire(), Wire(), Wire()
    connections.close_idle([first], 0.0)
    connections.close_idle([first, busy], 10.0)
    connections.usage[busy].requests = 1
    connections.close_idle([first, busy, last], 20.0)
    assert [one.closed for one in (first, busy, last)] == [True, False, False]
    connections.close_idle([busy, last], 56.0)
    assert [one.closed for one in (busy, last)] == [False, True]


def start(db: Path) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sessiontrace", "serve", "--db", str(db), "--port", "0"],
        env=environment(db.parent), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, int(process.stdout.readline().split("/ ")[0].rpartition(":")[2])


@pytest.mark.slow
def test_F01_a_killed_server_has_every_event_that_it_acknowledged(tmp_path: Path):
    """kill -9 in the middle of ingest; the client sends the rest again, and each is there once."""
    db = tmp_path / "store.db"
    process, port = start(db)
    acknowledged: list[str] = []
    sent: list[dict[str, object]] = []

    def ingest(port: int, events: list[dict[str, object]]) -> None:
        ask = asking(Served(process, port))
        for one in events:
            try:
                ask("POST", "/v1/events", one)
            except (OSError, Exception):
                return
            acknowledged.append(str(one["event_id"]))

    for _ in range(4):
        sid = new_id()
        sent += [{"event_id": new_id(), "session_id": sid, "event_type": "tool", "inputs": {}}
                 for _ in range(300)]  # fmt: skip
    threads = [threading.Thread(target=ingest, args=(port, sent[n::4])) for n in range(4)]
    for one in threads:
        one.start()
    eventually(lambda: len(acknowledged) > 100)
    process.send_signal(signal.SIGKILL)
    for one in threads:
        one.join()
    process.communicate()
    known = set(acknowledged)
    assert 100 < len(known) < len(sent)
    with serving(db) as server:
        ask = asking(server)
        page = ask("POST", "/v1/events/export", {"limit": 7500})
        stored = {one["event_id"] for one in page["events"] if one["event_type"] != "session"}
        assert known <= stored
        for at in range(0, len(sent), 100):
            ask("POST", "/v1/events/batch", {"events": sent[at : at + 100]})
        listed = server.json("/api/sessions")["sessions"]
        assert sum(one["events"] for one in listed) == len(sent)


def test_an_open_stream_tells_of_changes_and_ends_with_the_server(tmp_path: Path):
    """What the page listens to: an event for each change, of any process, and no CORS."""
    with serving(tmp_path / "store.db") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as stream:
            stream.sendall(b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
            got = b""
            while b"event: open" not in got:
                got += stream.recv(4096)
            assert b"text/event-stream" in got
            asking(server)("POST", "/v1/sessions", {})
            while b"event: changed" not in got:
                got += stream.recv(4096)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=20) == 0


def test_scores_by_hand_are_checked(server: Served):
    """The one thing that the page writes."""
    ask = asking(server)
    made = ask("POST", "/v1/events", {"event_type": "tool", "inputs": {}})
    good = {"event_id": made["event_id"], "name": "rating", "value": 1}
    ask("POST", "/api/score", good)
    assert server.json(f"/api/events/{made['event_id']}")["feedback"] == {"rating": 1}
    for wrong, status in (
        ({**good, "event_id": "none"}, 404), ({**good, "name": " "}, 400), ([], 400),
        ({**good, "value": {"a": 1}}, 400), ({**good, "value": "x" * 20_000}, 400),
    ):  # fmt: skip
        ask("POST", "/api/score", wrong, status=status)
    told = json.loads(server.request("/api/score", "POST", b"{", **JSON)[2])
    assert "JSON" in told["error"]
