"""The server over real sockets: what it answers, what it refuses, how it starts and stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.records import T0, event, eventually, id_of, session_end, session_start, update, write
from support.server_process import Served, serving
from support.subprocesses import environment

from sessiontrace.model.ids import new_id
from sessiontrace.server.security.request_guard import HEADERS

STATIC = Path(__file__).parents[2] / "sessiontrace" / "server" / "static"


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "store.db"


@pytest.fixture(scope="module")
def server(db: Path) -> Iterator[Served]:
    with serving(db) as served:
        yield served


def test_sessions_written_by_another_process_are_listed(server: Served, db: Path):
    """The page needs no more than this: newest first, with the summary, live."""
    sid = new_id()
    write(db, session_start(sid, 2 * T0, user_properties={"user_id": "ada"}), event(sid, 2 * T0))
    listed = server.json("/api/sessions?limit=1")["sessions"]
    assert [(one["session_id"], one["user"], one["status"]) for one in listed] == [
        (sid, "ada", "open")
    ]
    write(db, session_end(sid, 2 * T0, error="ValueError: no"))
    (one,) = server.json("/api/sessions?limit=1")["sessions"]
    assert (one["status"], one["error"], one["events"]) == ("ended", "ValueError: no", 1)


def test_a_session_comes_with_its_steps_and_a_step_with_its_record(server: Served, db: Path):
    """Steps without inputs and outputs for the waterfall, the whole record for the one chosen."""
    sid = new_id()
    step = event(sid, inputs={"q": "why"}, outputs={"a": 42})
    write(db, session_end(sid, inputs={"n": 1}), step, update(id_of(step), sid, metrics={"ok": 1}))
    found = server.json(f"/api/sessions/{sid}")
    assert found["record"]["inputs"] == {"n": 1}
    assert [one["event_id"] for one in found["events"]] == [id_of(step)]
    assert "inputs" not in found["events"][0]
    whole = server.json(f"/api/events/{id_of(step)}")
    assert (whole["inputs"], whole["outputs"], whole["metrics"]) == (
        {"q": "why"}, {"a": 42}, {"ok": 1},
    )  # fmt: skip


def test_a_list_is_paged_by_the_token_it_gives(server: Served, db: Path):
    """Every session once, though new ones arrive between the pages."""
    ids = [new_id() for _ in range(7)]
    write(db, *[session_end(sid, T0 - at, event_name="paged") for at, sid in enumerate(ids)])
    seen, after = [], ""
    while True:
        page = server.json(f"/api/sessions?q=paged&limit=3&after={after}")
        seen += [one["session_id"] for one in page["sessions"]]
        if not (after := page["next"] or ""):
            break
    assert seen == ids


def test_an_unchanged_answer_is_not_sent_again(server: Served, db: Path):
    """The page asks every two seconds; a new tag comes with the first change, and only then."""
    sid = new_id()
    write(db, session_start(sid))
    path = f"/api/sessions/{sid}"
    _, headers, _ = server.request(path)
    tag = headers["etag"]
    assert server.request(path, **{"If-None-Match": tag})[0] == 304
    write(db, event(sid))
    status, headers, _ = server.request(path, **{"If-None-Match": tag})
    assert (status, headers["etag"] != tag) == (200, True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/sessions/none", 404),
        ("/api/events/none", 404),
        ("/api/nothing", 404),
        ("/nothing", 404),
        ("/api/sessions?limit=ten", 400),
        ("/api/sessions?since=-1", 400),
        ("/api/sessions?since=99999999999999999999", 400),
        ("/api/sessions?after=nonsense", 400),
        ("/api/sessions?after=1.", 400),
        ("/api/sessions?after=%5B%22x%22%2C%22y%22%5D", 400),
        ("/api/sessions?q=%27%5C%3B--&limit=0&errors=yes", 200),
        ("/api/sessions?q=%27%22%3B--", 400),
        ("/api/histogram?q=usr:ada", 400),
        ("/api/dashboard?q=usr:ada", 400),
        ("/api/dashboard/groups?by=colour", 400),
        ("/api/dashboard/groups?rank=colour", 400),
        ("/api/sessions?sort=body", 400),
        ("/api/sessions?limit=1000000", 200),
        ("/page/../../../../etc/passwd", 404),
        ("/page/%2e%2e/app.py", 404),
        ("/page/%2e%2e%2fapp.py", 404),
        ("/page/js/app.js%00.css", 404),
        ("/page/", 404),
        ("/page/js/app.js", 200),
        ("/sessions/anything", 200),
    ],
)
def test_each_path_has_its_answer(server: Served, path: str, status: int):
    """Wrong questions get a sentence in JSON, and no path reaches a file that is not listed."""
    found, _, body = server.request(path)
    assert found == status
    if status >= 400:
        assert json.loads(body)["error"]
        assert b"Traceback" not in body


@pytest.mark.parametrize(
    "path", ["/", "/page/js/app.js", "/api/sessions", "/api/sessions/no", "/no"]
)
def test_every_answer_carries_the_guards_headers(server: Served, path: str):
    """Errors too: an attacker chooses which answer to look at."""
    _, headers, _ = server.request(path)
    for name, value in HEADERS.items():
        assert headers[name.lower()] == value
    assert headers["cache-control"] == (
        "no-store" if path[1:4] == "api" or path == "/no" else "no-cache"
    )


def test_a_browser_keeps_the_pages_files_and_requests_all_of_them_at_once(server: Served):
    """Each import behind the other costs a round trip; a page of another version still opens."""
    _, headers, index = server.request("/")
    links = re.findall(r'href="(/page/[^"]+\.js)"', index.decode())
    assert headers["cache-control"] == "no-cache"
    assert {path.split("/", 3)[3] for path in links} == {
        path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js")
    }
    status, headers, _ = server.request(links[0])
    assert (status, headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    status, headers, _ = server.request(f"/page/{'0' * 16}/js/app.js")
    assert (status, headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Origin": "http://evil.example", "Content-Type": "application/json"}, 403),
        ("POST", {"Content-Type": "text/plain"}, 415),
        ("POST", {"Content-Type": "application/json"}, 405),
        ("OPTIONS", {"Origin": "http://evil.example", "Content-Type": "application/json"}, 403),
    ],
)
def test_the_guard_stands_before_every_route(server: Served, method, headers, status):
    """The table is tested elsewhere; here, that the server asks it."""
    found, answered, body = server.request("/api/sessions", method, b"{}", **headers)
    assert found == status
    assert not [name for name in answered if name.startswith("access-control")]
    assert json.loads(body)["error"]


def test_a_damaged_store_is_told_and_not_a_traceback(tmp_path: Path):
    """The disk went bad under a running server."""
    db = tmp_path / "store.db"
    write(db, session_end(new_id()))
    with serving(db) as server:
        db.write_bytes(b"garbage" * 1000)
        for name in ("store.db-wal", "store.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        status, _, body = server.request("/api/sessions")
        assert status == 503
        assert "store.db" in json.loads(body)["error"]


def serve_wrong(tmp_path: Path, *options: str) -> tuple[int, str]:
    """Status and complaint of a server that cannot start."""
    done = subprocess.run(
        [sys.executable, "-m", "sessiontrace", "serve", "--db", str(tmp_path / "s.db"), *options],
        env=environment(tmp_path), capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org"])
def test_it_refuses_to_listen_for_other_machines(tmp_path: Path, host: str):
    """Without a token there is no other machine."""
    status, told = serve_wrong(tmp_path, "--host", host)
    assert status == 2
    assert "other machines" in told
    assert not (tmp_path / "s.db").exists()


def test_a_taken_port_is_told_in_one_line(tmp_path: Path):
    """Somebody left a server running yesterday."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, told = serve_wrong(tmp_path, "--port", str(port))
    assert status == 1
    assert f"port {port} is taken" in told
    assert told.count("\n") == 1


def test_a_newer_store_is_refused_at_the_start(tmp_path: Path):
    """An older server beside a newer SDK says what to do."""
    import sqlite3

    write(tmp_path / "s.db", session_end(new_id()))
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    status, told = serve_wrong(tmp_path, "--port", "0")
    assert status == 1
    assert "newer sessiontrace" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_at_once_though_a_browser_is_connected(tmp_path: Path, number: int):
    """A browser keeps its connections open; Ctrl-C must not wait for it."""
    with (
        serving(tmp_path / "s.db") as server,
        socket.create_connection(("127.0.0.1", server.port)) as idle,
    ):
        idle.sendall(b"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
        assert b"200 OK" in idle.recv(4096)
        server.process.send_signal(number)
        # It would wait 30 s for the browser to close it.
        assert server.process.wait(timeout=20) == 0


def test_it_is_small(server: Served):
    """It runs all day beside what the user works on; the goal is 80 MB resident."""
    server.json("/api/sessions")
    assert psutil.Process(server.process.pid).memory_info().rss < 80e6


def test_a_store_that_does_not_exist_yet_is_made(tmp_path: Path):
    """The first command a new user types."""
    with serving(tmp_path / "deep" / "store.db") as server:
        assert server.json("/api/sessions") == {"sessions": [], "next": None}
        write(tmp_path / "deep" / "store.db", session_end(new_id()))
        assert eventually(lambda: server.json("/api/sessions")["sessions"])
    assert os.stat(tmp_path / "deep" / "store.db").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"texts": "a"}', b'{"texts": [1]}'])
def test_only_texts_are_read_as_markdown(server: Served, body: bytes):
    """Anything else is refused with a sentence."""
    status, _, answer = server.request(
        "/api/markdown", "POST", body, Content_Type="application/json"
    )
    assert (status, json.loads(answer)) == (400, {"error": "texts must be a list of texts"})


def test_markdown_is_answered_as_trees_without_html(server: Served):
    """One tree a text, in their order; what is HTML in a text is a text in its tree."""
    body = b'{"texts": ["**a**", "<b>b</b>"]}'
    status, _, answer = server.request(
        "/api/markdown", "POST", body, Content_Type="application/json"
    )
    assert status == 200
    assert json.loads(answer) == {
        "available": True,
        "trees": [[["p", {}, [["strong", {}, ["a"]]]]], [["p", {}, ["<b>b</b>"]]]],
    }
