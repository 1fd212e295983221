"""What a stranger can use up of a server that requires a key, and what a revoked key still gets."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import socket
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from support.records import eventually
from support.server_process import Served, serving

from sessiontrace.cli import main
from sessiontrace.server.http import RequestRejected, read_unchecked_body
from sessiontrace.server.security.body_budget import BodyBudget, BudgetExceededError

TOKEN = "a-token-of-more-than-20-characters"
JSON = {"Content_Type": "application/json"}
MIB = 1 << 20
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Served]:
    """A server that requires a token."""
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    with serving(tmp_path / "store.db", "--token-file", str(path)) as server:
        yield server


def half_sent(port: int, path: str, size: int) -> socket.socket:
    """A connection that has sent all of its body but the last byte."""
    client = socket.create_connection(("127.0.0.1", port))
    client.settimeout(10)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {size + 1}\r\n\r\n"
    )
    try:
        client.sendall(head.encode() + b" " * size)
    except OSError:  # the server has answered already and reads no more
        pass
    return client


@pytest.mark.parametrize("path", ["/batch/", "/capture", "/i/v1/analytics/events", "/api/login"])
def test_E16_half_sent_bodies_of_strangers_share_a_small_memory(locked: Served, path: str):
    """40 bodies of 15 MB held 600 MB before any key was checked."""
    process = psutil.Process(locked.process.pid)
    before = process.memory_info().rss
    clients = [half_sent(locked.port, path, 15 * MIB) for _ in range(40)]
    try:
        eventually(lambda: process.memory_info().rss - before < 80 * MIB or None)
        # Who shows the key in a header does not wait behind them.
        bearer = {"Authorization": f"Bearer {TOKEN}", **JSON}
        event = b'{"event": "a", "distinct_id": "b"}'
        assert locked.request("/capture", "POST", event, **bearer)[0] == 200
        assert locked.request("/api/sessions", **bearer)[0] == 200
    finally:
        for client in clients:
            client.close()
    body = json.dumps({"event": "a", "distinct_id": "b", "api_key": TOKEN}).encode()
    eventually(lambda: locked.request("/capture", "POST", body, **JSON)[0] == 200 or None)


@pytest.mark.asyncio
async def test_E16_a_refused_body_is_freed_without_the_garbage_collector():
    """The error's traceback holds what was read of the body. A cycle would keep both for long."""

    class Body:
        """Bytes that a weak reference can watch."""

    bodies: list[weakref.ref[Body]] = []

    class FullBudget(BodyBudget):
        async def read(self, request: web.Request, most: int) -> bytes:
            body = Body()
            bodies.append(weakref.ref(body))
            await asyncio.sleep(0)
            raise BudgetExceededError

    gc.disable()
    try:
        with pytest.raises(RequestRejected):
            await read_unchecked_body(make_mocked_request("POST", "/batch/"), FullBudget(), 1)
        assert [body() for body in bodies] == [None]
    finally:
        gc.enable()


def test_a_body_beyond_the_budget_is_told_to_come_again(locked: Served):
    """PostHog's clients try again after 503; the reply comes before the body is whole."""
    clients = [half_sent(locked.port, "/batch/", 14 * MIB) for _ in range(2)]
    try:
        late = half_sent(locked.port, "/batch/", 14 * MIB)
        clients.append(late)
        reply = late.recv(4096)
        assert b" 503 " in reply.partition(b"\r\n")[0]
        assert b"retry-after: 1" in reply.lower()
    finally:
        for client in clients:
            client.close()


def test_E22_a_refused_body_is_not_unpacked(locked: Served):
    """30 kB of gzip hold 30 MiB: unpacking what was refused kept the loop busy, and a stranger with
    a slow line could shut out all others.
    """
    body = gzip.compress(b" " * (30 << 20), 9)
    packed = {"Content_Encoding": "gzip", **JSON}
    process = psutil.Process(locked.process.pid)
    before = sum(process.cpu_times()[:2])
    for _ in range(40):
        assert locked.request("/v1/traces", "POST", body, **packed)[0] == 401
    assert sum(process.cpu_times()[:2]) - before < 1.0  # it was 2.4


@pytest.mark.parametrize("path", ["/batch/", "/i/v1/analytics/events"])
def test_E22_a_strangers_body_is_not_decoded(locked: Served, path: str):
    """Seven million numbers in 14 kB: the key is looked for in the text first. With a key among
    them, the body is read.
    """
    process = psutil.Process(locked.process.pid)
    before = process.memory_info().rss
    for key in ("", "a-token-that-is-not-the-servers"):
        text = b'{"api_key":"%b","batch":[' % key.encode() + b"1," * (7 << 20) + b"1]}"
        body = gzip.compress(text, 9)
        assert locked.request(path, "POST", body, Content_Encoding="gzip", **JSON)[0] == 401
    assert process.memory_info().rss - before < 60 * MIB
    event = b'{"event": "a", "distinct_id": "b", "properties": {"x": [{"token": "not-the-key"}], '
    event = gzip.compress(b'[%b"token" : "%b"}}]' % (event, TOKEN.encode()))
    assert locked.request(path, "POST", event, Content_Encoding="gzip", **JSON)[0] == 200


def test_a_body_of_an_unknown_encoding_is_refused_by_name(locked: Served):
    """The sender is told what the server takes."""
    bearer = {"Authorization": f"Bearer {TOKEN}", **JSON}
    status, _, body = locked.request("/v1/traces", "POST", b"x", Content_Encoding="br", **bearer)
    assert status == 415
    assert b"send gzip" in body


ROUTES = ["/api/login", "/batch/", "/capture", "/track", "/engage", "/e", "/i/v0/e",
          "/i/v0/ai/batch", "/i/v1/analytics/events", "/v1/events", "/v4/logs", "/v1/traces",
          "/api/score", "/nowhere"]  # fmt: skip


@pytest.mark.parametrize("body", [DEEP, b'{"token":' * 100_000, b'{"a":' * 20_000 + b"1"])
def test_E17_deep_json_of_a_stranger_ends_nothing(locked: Served, body: bytes):
    """A parser without a limit of depth would end the process."""
    for path in ROUTES:
        status, _, _ = locked.request(path, "POST", body, **JSON)
        assert 400 <= status < 500, path
    assert locked.request("/", "GET")[0] == 200


def test_a_login_reads_no_more_than_a_token_needs(locked: Served):
    """The largest token has 4096 characters."""
    body = json.dumps({"token": "x" * 100_000}).encode()
    assert locked.request("/api/login", "POST", body, **JSON)[0] == 413
    body = json.dumps({"token": TOKEN}).encode()
    assert locked.request("/api/login", "POST", body, **JSON)[0] == 200


# -- live streams ---------------------------------------------------------------------------


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[Served, Path]]:
    """A server with API keys, and its store."""
    db = tmp_path / "store.db"
    with serving(db, "--keys") as server:
        yield server, db


def key_of(db: Path, capsys: Any, name: str, project: str) -> str:
    words = ["keys", "add", name, "--project", project, "--may", "read", "--db", str(db)]
    assert main(words) == 0
    return str(capsys.readouterr().out.strip())


async def stream_of(client: aiohttp.ClientSession, server: Served, key: str) -> Any:
    """An open stream, or the status of the refusal."""
    response = await client.get(
        f"{server.url}/api/live", headers={"Authorization": f"Bearer {key}"}
    )
    if response.status != 200:
        response.release()
        return response.status
    await response.content.readline()
    return response


@pytest.mark.asyncio
async def test_E18_the_streams_of_one_key_leave_room_for_the_others(keyed, capsys):
    """64 open pages of one project used to lock out all."""
    server, db = keyed
    one, other = (key_of(db, capsys, name, name) for name in ("one", "other"))
    sibling = key_of(db, capsys, "sibling", "one")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        streams = [await stream_of(client, server, one) for _ in range(65)]
        assert [type(stream) is int for stream in streams] == [False] * 64 + [True]
        assert streams[64] == 503
        others = [await stream_of(client, server, key) for key in (other, sibling)]
        assert not any(isinstance(stream, int) for stream in others)
        for stream in [*streams[:64], *others]:
            stream.close()


@pytest.mark.asyncio
async def test_E19_the_stream_of_a_revoked_key_ends(keyed, capsys):
    """Within seconds; the streams of other keys of the project go on."""
    server, db = keyed
    revoked, valid = (key_of(db, capsys, name, "shop") for name in ("revoked", "valid"))
    async with aiohttp.ClientSession() as client:
        ending, lasting = [await stream_of(client, server, key) for key in (revoked, valid)]
        assert main(["keys", "revoke", "revoked", "--db", str(db)]) == 0
        started = time.monotonic()
        await asyncio.wait_for(ending.content.read(), 15)
        assert time.monotonic() - started < 15
        assert not lasting.content.at_eof()
        lasting.close()
