"""A server with a token: who has it reads and writes as ever, everybody else learns nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import T0, session_end, write
from support.server_process import Served, serving
from support.subprocesses import environment

from sessiontrace.model.ids import new_id
from sessiontrace.model.secret import Secret
from sessiontrace.server.security.token_auth import TokenAuth, TokenError, load_token

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content_Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("token")
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    write(folder / "store.db", session_end(new_id()))
    with serving(folder / "store.db", "--token-file", str(token)) as started:
        yield started


SESSION = json.dumps({"session": {"project": "p", "source": "s"}}).encode()
OTLP = b'{"resourceSpans": []}'


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/sessions", None),
        ("GET", "/api/sessions/x", None),
        ("GET", "/api/about", None),
        ("GET", "/api/live", None),
        ("POST", "/api/score", b"{}"),
        ("POST", "/v1/sessions", SESSION),
        ("POST", "/session/start", SESSION),
        ("POST", "/v4/logs", b"{}"),
        ("POST", "/v5/flows/log", b"{}"),
        ("POST", "/v1/traces", OTLP),
        ("POST", "/batch/", b'{"api_key": "phc_other", "batch": []}'),
        ("POST", "/i/v0/e/", b"[]"),
        ("GET", "/api/projects/1/sessions/property_definitions/", None),
        ("GET", "/nothing/here", None),
    ],
)
@pytest.mark.parametrize("shown", ["", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_without_the_token_nothing_is_told(
    server: Served, method: str, path: str, body: bytes | None, shown: str
):
    """Not even whether a path exists."""
    headers = {"Authorization": shown} if shown else {}
    status, _, told = server.request(path, method, body, **(JSON if body else {}), **headers)
    assert status == 401
    assert TOKEN.encode() not in told


@pytest.mark.parametrize(
    "headers", [BEARER, {"Authorization": f"bearer {TOKEN}"}, {"X_API_KEY": TOKEN}]
)
def test_clients_show_it_where_they_show_their_keys(server: Served, headers: dict[str, str]):
    """HoneyHive's, OTLP's and ours as a bearer's, Humanloop's as X-API-KEY."""
    status, _, body = server.request("/api/sessions", **headers)
    assert status == 200
    assert json.loads(body)["sessions"]


@pytest.mark.parametrize(
    "body",
    [
        {"api_key": TOKEN, "batch": [{"event": "seen", "distinct_id": "a"}]},
        {"token": TOKEN, "event": "seen", "distinct_id": "a"},
        [{"event": "seen", "distinct_id": "a", "properties": {"token": TOKEN}}],
    ],
)
def test_posthogs_clients_show_it_in_the_body(server: Served, body: object):
    """They have no header for it."""
    path = "/batch/" if "batch" in body else "/i/v0/e/"
    assert server.request(path, "POST", json.dumps(body).encode(), **JSON)[0] == 200


def test_a_browser_shows_it_once_and_gets_a_cookie(server: Served):
    """The cookie is no token, scripts cannot read it, and other sites cannot have it sent."""
    login = json.dumps({"token": TOKEN}).encode()
    status, headers, _ = server.request("/api/login", "POST", login, **JSON)
    assert status == 200
    cookie, _, rules = headers["set-cookie"].partition("; ")
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rules.split("; "))
    assert server.request("/api/sessions", Cookie=f"theme=dark; {cookie}")[0] == 200
    assert server.request("/api/sessions", Cookie=cookie[:-1] + "0x")[0] == 401
    # A cookie makes no request of another site's legal.
    told = server.request("/api/sessions", Cookie=cookie, Sec_Fetch_Site="cross-site")
    assert told[0] == 403


@pytest.mark.parametrize("given", [{"token": "wrong"}, {"token": None}, {"token": 5}, {}, [], "x"])
def test_a_wrong_token_gives_no_cookie(server: Served, given: object):
    """Whatever was sent in its place."""
    status, headers, _ = server.request("/api/login", "POST", json.dumps(given).encode(), **JSON)
    assert status == 401
    assert "set-cookie" not in headers


def test_the_page_itself_holds_nothing_and_asks_for_it(server: Served):
    """Its files are the same on every machine."""
    assert server.request("/")[0] == 200
    assert server.request("/page/js/app.js")[0] == 200


def test_it_answers_under_every_name_but_to_no_other_site(server: Served):
    """Other machines call it by names that it cannot know; an attacker's has no cookie."""
    assert server.request("/api/sessions", Host="box.example:4777", **BEARER)[0] == 200
    assert server.request("/api/sessions", Host="box.example:4777")[0] == 401
    origin = {"Host": "box.example:4777", "Origin": "http://evil.example"}
    assert server.request("/api/sessions", **origin, **BEARER)[0] == 403


def test_it_listens_for_other_machines_with_a_token_that_it_makes_itself(tmp_path: Path):
    """One command on the other machine: the file is made, for its user alone."""
    token = tmp_path / "token"
    process = subprocess.Popen(
        [sys.executable, "-m", "sessiontrace", "serve", "--db", str(tmp_path / "s.db"),
         "--host", "0.0.0.0", "--port", "0", "--token-file", str(token)],
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    port = int(line.split("://")[1].split("/")[0].rpartition(":")[2])
    made = token.read_text().strip()
    here = Served(process, port)
    refused, taken = here.request("/api/about")[0], here.request("/api/about", X_API_KEY=made)[0]
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert (refused, taken, process.returncode) == (401, 200, 0)
    assert token.stat().st_mode & 0o777 == 0o600
    assert len(made) > 40
    assert made not in line + out + err
    assert "0.0.0.0" not in line
    assert "not encrypted" in err


def test_what_is_no_token_is_told_before_anything_is_opened(tmp_path: Path):
    """Too short, of a file that others read, or of a folder that is not there."""
    short = tmp_path / "short"
    short.write_text("secret")
    short.chmod(0o600)
    shared = tmp_path / "shared"
    shared.write_text(TOKEN)
    shared.chmod(0o644)
    link = tmp_path / "link"
    link.symlink_to(shared)
    for path, words in (
        (short, "20 characters"), (shared, "chmod 600"), (tmp_path, "not a regular file"),
        (tmp_path / "no" / "token", "cannot be created"), (link, "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(TokenError, match=words) as told:
            load_token(path)
        assert TOKEN not in str(told.value)
    with pytest.raises(TokenError, match="SESSIONTRACE_SERVE_TOKEN"):
        load_token(None, {"SESSIONTRACE_SERVE_TOKEN": "two words, and long enough"})
    assert load_token(None, {}) is None
    assert load_token(None, {"SESSIONTRACE_SERVE_TOKEN": TOKEN}) == Secret(TOKEN)


def test_a_token_is_made_once(tmp_path: Path):
    """The second start finds the first one's."""
    made = load_token(tmp_path / "token")
    assert made
    assert load_token(tmp_path / "token") == made
    assert made.reveal() not in repr(made)


def test_text_that_is_no_ascii_is_compared_too():
    """hmac compares bytes; a header may hold anything."""
    access = TokenAuth(Secret(TOKEN), 4777)
    assert not access.is_valid("\udcff" + "ä" * 20)
    assert not access.admits({"Cookie": "sessiontrace-4777=ä; ; =; sessiontrace-4777"})
    assert TokenAuth(None, 4777).admits({})


def test_without_a_token_it_stays_on_this_machine(tmp_path: Path):
    """And says what to do."""
    done = subprocess.run(
        [sys.executable, "-m", "sessiontrace", "serve", "--host", "0.0.0.0", "--port", "0",
         "--db", str(tmp_path / "s.db")],
        env=environment(tmp_path), capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--token-file" in done.stderr
    assert "SESSIONTRACE_SERVE_TOKEN" in done.stderr
    assert not os.path.exists(tmp_path / "s.db")


def test_the_store_is_the_same(server: Served):
    """What came in with the token is listed with it."""
    write_path = json.dumps({"session": {"project": "p", "source": "s", "start_time": T0}}).encode()
    assert server.request("/session/start", "POST", write_path, **JSON, **BEARER)[0] == 200
    assert len(json.loads(server.request("/api/sessions", **BEARER)[2])["sessions"]) >= 2
