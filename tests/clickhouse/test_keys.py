"""API keys: made on the command line, asked for at the door, and good for one project only."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from aiohttp import web
from support.records import T0, eventually
from support.server_process import Served, serving
from support.subprocesses import environment

from sessiontrace.model.errors import StoreError
from sessiontrace.model.ids import new_id
from sessiontrace.server.app import make_app
from sessiontrace.server.connection_limits import Connections
from sessiontrace.server.security.api_key_auth import required_permission
from sessiontrace.server.store_writer import Retention
from sessiontrace.store import api_keys
from sessiontrace.store.api_keys import BOTH, INGEST, READ
from sessiontrace.store.protocol import Store
from sessiontrace.store.sqlite.store import SqliteStore, SqliteStores

pytestmark = pytest.mark.timeout(240)  # an engine and servers, on a machine that is busy


def command(db: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sessiontrace", "keys", *words, "--db", str(db)],
        env=environment(db.parent),
        capture_output=True,
        text=True,
        check=False,
    )


def made(db: Path, name: str, may: str = INGEST, project: str = "default") -> str:
    """A key in the file; what the command does, without a process for it."""
    store = SqliteStore(db)
    try:
        return api_keys.add(store, name, project, may).reveal()
    finally:
        store.close()


def test_a_key_is_shown_once_listed_by_its_hash_and_taken_back(tmp_path: Path):
    """Whoever reads the store, or the list, cannot use what is there."""
    db = tmp_path / "store.db"
    done = command(db, "add", "checkout", "--project", "shop")
    key = done.stdout.strip()
    assert "only now" in done.stderr
    assert re.fullmatch(r"st-[\w-]{43}", key)
    listed = command(db, "list").stdout.splitlines()
    assert len(listed) == 2
    assert re.match(r"[0-9a-f]{12}  ingest      shop     .*  checkout$", listed[1])
    with sqlite3.connect(db) as connection:
        everything = "\n".join(connection.iterdump())
    connection.close()
    assert key[3:] not in everything
    assert api_keys.hashed(key) in everything
    assert "is revoked" in command(db, "revoke", listed[1][:6]).stdout
    assert len(command(db, "list").stdout.splitlines()) == 1
    again = command(db, "revoke", "checkout")
    assert (again.returncode, again.stdout) == (1, "")
    assert "no key has this name or id" in again.stderr


def test_keys_are_kept_by_every_store(store: Store):
    """The same notes, whatever is under them."""
    key = api_keys.add(store, "one", "alpha", READ)
    api_keys.add(store, "two", may=BOTH)
    assert [(one.name, one.project, one.may) for one in api_keys.active(store)] == [
        ("one", "alpha", READ),
        ("two", "default", BOTH),
    ]
    (gone,) = api_keys.revoke(store, "one")
    assert gone.hash == api_keys.hashed(key.reveal())
    assert [one.name for one in api_keys.active(store)] == ["two"]
    assert key.reveal() not in repr(key)


@pytest.mark.parametrize(
    ("name", "project"), [("", "a"), (" ", "a"), ("x" * 101, "a"), ("x\n", "a"), ("x", "../etc"),
                          ("x", ""), ("x", "A"), ("x", "a" * 64), ("x", "-a")],
)  # fmt: skip
def test_names_that_cannot_be_are_refused(store: Store, name: str, project: str):
    """A project is part of a file's name, and of what a terminal prints."""
    with pytest.raises(StoreError):
        api_keys.add(store, name, project)


@attrs.frozen
class Door:
    """A server that asks for keys, and requests that show one."""

    server: Served
    db: Path

    def request(
        self, path: str, key: str | None, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        shown = {} if key is None else {"Authorization": f"Bearer {key}"}
        method = "GET"
        raw = None
        if body is not None:
            method, raw = "POST", orjson.dumps(body)
            shown["Content-Type"] = "application/json"
        status, _, answered = self.server.request(path, method, raw, **(shown | headers))
        return status, json.loads(answered) if answered[:1] in (b"{", b"[") else answered


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    db = tmp_path / "store.db"
    with serving(db, "--keys") as server:
        yield Door(server, db)


def one_event(sid: str, name: str = "step") -> dict[str, Any]:
    return {"event_id": new_id(), "session_id": sid, "event_type": "tool", "event_name": name,
            "start_time": T0, "end_time": T0 + 5, "duration": 5.0, "inputs": {}}  # fmt: skip


def test_media_and_retention_belong_to_a_project(door: Door):
    """A read key gets the media of its own project, and changes no rule."""
    content = b"\x89PNG\r\n\x1a\n" + bytes(2_000)
    path = f"/api/media/{hashlib.sha256(content).hexdigest()}"
    alpha, beta = (made(door.db, f"read {name}", READ, name) for name in ("alpha", "beta"))
    both = made(door.db, "both alpha", BOTH, "alpha")
    url = f"data:image/png;base64,{b64encode(content).decode()}"
    batch = {"events": [{**one_event(new_id()), "inputs": {"image": url}}]}
    assert door.request("/v1/events/batch", both, batch)[0] == 200
    assert [door.request(path, key)[0] for key in (alpha, beta, both, None)] == [200, 404, 200, 401]
    shown = [door.request("/api/retention", key)[1] for key in (alpha, beta, both)]
    assert [state["media"]["count"] for state in shown] == [1, 0, 1]
    assert [state["may_change"] for state in shown] == [False, False, True]
    rule = {"days": 90, "most_bytes": None, "expect": 0}
    assert [door.request("/api/retention", key, rule)[0] for key in (alpha, both)] == [403, 200]
    days = [door.request("/api/retention", key)[1]["rule"]["days"] for key in (alpha, beta)]
    assert days == [90.0, 30.0]


def test_a_key_may_do_what_it_is_for_and_nothing_else(door: Door):
    """A key in a phone app sends; whoever takes it out of the app reads nothing with it."""
    send, look, both = (made(door.db, may, may) for may in (INGEST, READ, BOTH))
    sid = new_id()
    batch = {"events": [one_event(sid)]}
    assert door.request("/v1/events/batch", send, batch)[0] == 200
    assert door.request("/v1/events/batch", both, batch)[0] == 200
    assert door.request("/v1/events/batch", look, batch)[0] == 403
    assert door.request("/v1/events/batch", None, batch)[0] == 401
    assert door.request("/v1/events/batch", send + "x", batch)[0] == 401
    for path in ("/api/sessions", f"/api/sessions/{sid}", f"/api/sessions/{sid}/thread",
                 f"/api/sessions/{sid}/judgements", "/api/sessions.jsonl",
                 "/api/live", f"/v1/events/{sid}", "/api/about", "/api/histogram", "/v4/projects",
                 "/api/dashboard", "/api/dashboard/groups",
                 "/api/media/" + 64 * "a", "/api/nothing"):  # fmt: skip
        status, told = door.request(path, send)
        assert status == 403, path
        assert told["error"] == "this request requires an API key that may read", path
        assert door.request(path, None)[0] == 401, path
    for path in ("/v1/events/search", "/v1/events/export"):
        assert door.request(path, send, {"filters": []})[0] == 403
        assert door.request(path, look, {"filters": []})[0] == 200
    texts = {"texts": ["**a**"]}
    assert [door.request("/api/markdown", key, texts)[0] for key in (send, look)] == [403, 200]
    for key in (look, both):
        assert [one["session_id"] for one in door.request("/api/sessions", key)[1]["sessions"]] == [
            sid
        ]
    none = {"ids": ["x"]}
    deletions = [door.request("/api/sessions/delete", key, none) for key in (send, look, both)]
    assert [status for status, _ in deletions] == [403, 403, 200]
    judged = {"event_id": sid, "kind": "score", "name": "rating", "value": 1, "author": "ada"}
    for path in ("/api/score", "/api/judgements"):
        answers = [door.request(path, key, judged)[0] for key in (send, look, both)]
        assert answers == [403, 403, 200], path
    (_, judgement) = door.request(f"/api/sessions/{sid}/judgements", look)[1]["judgements"]
    assert (judgement["author"], judgement["key"]) == ("ada", BOTH), "the name that made() gave"


def test_a_sending_key_is_not_told_what_was_there_before(door: Door):
    """Sessions are opened again by their id: the answer must not be a way to read them."""
    send, both = made(door.db, "send"), made(door.db, "both", BOTH)
    sid = new_id()
    secret = {
        "session_id": sid,
        "session_name": "private",
        "source": "x",
        "inputs": {"q": "secret"},
    }
    door.request("/v1/sessions", both, secret)
    again = {"session_id": sid, "source": "x"}
    assert "secret" in str(door.request("/v1/sessions", both, again)[1])
    status, told = door.request("/v1/sessions", send, again)
    assert status == 200
    assert "secret" not in str(told)
    assert "private" not in str(told)


def test_projects_do_not_see_each_other(door: Door):
    """The same ids in two projects are two sessions."""
    keys_of = {name: made(door.db, name, BOTH, name) for name in "ab"}
    other = made(door.db, "c", BOTH, "c")
    sid = new_id()
    for name, key in keys_of.items():
        door.request("/v1/events/batch", key, {"events": [one_event(sid, f"step of {name}")]})
    for name, key in keys_of.items():
        (session,) = door.request("/api/sessions", key)[1]["sessions"]
        assert (session["session_id"], session["events"]) == (sid, 1)
        (step,) = door.request(f"/api/sessions/{sid}", key)[1]["events"]
        assert step["name"] == f"step of {name}"
    assert door.request("/api/sessions", other)[1]["sessions"] == []


def test_a_revoked_key_is_refused_within_seconds(door: Door):
    """A key that leaked is taken back while the server runs."""
    key = made(door.db, "leaked", READ)
    assert door.request("/api/sessions", key)[0] == 200
    command(door.db, "revoke", "leaked")
    eventually(lambda: door.request("/api/sessions", key)[0] == 401, within=20)


def test_a_browser_that_showed_a_key_is_remembered_by_a_pass_not_by_the_key(door: Door):
    """The cookie opens the page, and is no key: a thief of it cannot send with it as a key."""
    look, send = made(door.db, "look", READ), made(door.db, "send")
    status, headers, _ = door.server.request(
        "/api/login", "POST", orjson.dumps({"token": look}), **{"Content-Type": "application/json"}
    )
    assert status == 200
    cookie = headers["set-cookie"].partition(";")[0]
    assert look not in cookie
    assert "HttpOnly; SameSite=Strict" in headers["set-cookie"]
    assert door.request("/api/sessions", None, Cookie=cookie)[0] == 200
    assert door.request("/api/sessions", cookie.partition("=")[2])[0] == 401
    assert door.request("/api/login", None, {"token": send})[0] == 401
    assert door.request("/", None)[0] == 200, "the page itself holds no sessions"


def test_posthogs_clients_show_their_key_in_the_body(door: Door):
    """Their requests have no header for it."""
    send, look = made(door.db, "send", INGEST, "web"), made(door.db, "look", READ, "web")
    sid = new_id()
    told = {"$ai_session_id": sid, "$ai_trace_id": sid, "$ai_span_name": "s"}
    event = {"event": "$ai_span", "uuid": new_id(), "distinct_id": "ada", "properties": told}
    assert door.request("/batch/", None, {"api_key": "wrong", "batch": [event]})[0] == 401
    assert door.request("/batch/", None, {"api_key": send, "batch": [event]})[0] == 200
    assert len(door.request("/api/sessions", look)[1]["sessions"]) == 1


async def routes(db: Path) -> list[web.AbstractRoute]:
    """All that a server with keys answers to."""
    app = make_app(SqliteStores(db), 1, "0", Retention(), Connections(), keys=True)
    runner = web.AppRunner(app)
    await runner.setup()
    found = list(app.router.routes())
    await runner.cleanup()
    return found


def test_every_route_that_is_not_known_to_send_asks_for_more_than_a_sending_key(tmp_path: Path):
    """A route that is added later is closed to sending keys until somebody opens it."""
    sending = set()
    for route in asyncio.run(routes(tmp_path / "s.db")):
        path = route.resource.canonical if route.resource else ""
        path = re.sub(r"\{kind\}", "flows", path)
        need = required_permission(route.method, re.sub(r"\{\w+\}", "some-id", path))
        if route.method in ("GET", "HEAD"):
            assert need == READ
        if need == INGEST:
            sending.add(f"{route.method} {path.rstrip('/')}")
    bases = ("", "/opentelemetry", "/otel", "/otlp", "/api/public/otel", "/api/v1/private/otel",
             "/api/v2/otlp", "/i/v0/ai/otel")  # fmt: skip
    signals = ("traces", "logs", "metrics")
    assert sending == {
        *(f"POST {base}/v1/{signal}" for base in bases for signal in signals),
        "POST /i/v0/ai/otel", "POST /v1/sessions",
        "POST /session/start", "POST /v1/events", "POST /events", "POST /events/model",
        "POST /v1/events/batch", "POST /events/batch", "POST /events/model/batch",
        "POST /v1/sessions/{id}/events/batch", "POST /session/{id}/traces", "PUT /v1/events/{id}",
        "PUT /events", "POST /v4/sessions", "POST /v4/logs", "POST /v4/feedback",
        "POST /v4/traces", "POST /v5/flows/log", "POST /v5/import/otel/v1/traces", "POST /batch",
        "POST /api/public/scores", "POST /api/public/ingestion",
        "POST /capture", "POST /track", "POST /engage", "POST /e", "POST /i/v0/e",
        "POST /i/v0/ai/batch", "POST /i/v1/analytics/events",
    }  # fmt: skip
