"""Servers over one ClickHouse: stateless replicas that share nothing else, and may be killed."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.records import T0, event, eventually
from support.server_process import Served, serving

from sessiontrace.model.errors import StoreBusyError, StoreError
from sessiontrace.model.ids import new_id
from sessiontrace.store import api_keys
from sessiontrace.store.clickhouse.connection import Connection
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.clickhouse.url import parse
from sessiontrace.store.models import DEFAULT_PROJECT, SessionQuery

pytestmark = pytest.mark.timeout(240)  # an engine and servers, on a machine that is busy


JSON = {"Content-Type": "application/json"}
STEPS = 20


@pytest.fixture
def opened(engine, clickhouse: ClickHouseStore) -> Iterator[dict[str, str]]:
    """Headers with a key for this test's own project."""
    line = engine.line()
    store = ClickHouseStore(line, DEFAULT_PROJECT)
    key = api_keys.add(store, clickhouse.project, clickhouse.project, api_keys.BOTH)
    yield {"Authorization": f"Bearer {key.reveal()}"}
    api_keys.revoke(store, clickhouse.project)
    line.close()


@pytest.fixture(scope="module")
def servers(engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    """Two servers over one database, that ask for keys."""
    db = tmp_path_factory.mktemp("replicas") / "unused.db"
    with serving(db, "--keys", store=engine.url()) as one:
        with serving(db, "--keys", store=engine.url()) as two:
            yield [one, two]


@pytest.fixture
def replicas(servers: list[Served], opened: dict[str, str]) -> list[Served]:
    """The same, when they know this test's key."""
    for server in servers:
        eventually(
            lambda server=server: server.request("/api/about", **opened)[0] == 200, within=30
        )
    return servers


def events(sid: str, count: int = STEPS, **more: Any) -> list[dict[str, Any]]:
    return [
        {"event_id": new_id(), "session_id": sid, "event_type": "model", "event_name": "step",
         "start_time": T0 + n, "end_time": T0 + n + 5, "duration": 5.0, "inputs": {"n": n},
         "metadata": {"total_tokens": 3}, **more}
        for n in range(count)
    ]  # fmt: skip


def send(server: Served, batch: list[dict[str, Any]], opened: dict[str, str]) -> int:
    body = orjson.dumps({"events": batch})
    return server.request("/v1/events/batch", "POST", body, **JSON, **opened)[0]


def listed(server: Served, opened: dict[str, str]) -> list[dict[str, Any]]:
    status, _, body = server.request("/api/sessions?limit=500", **opened)
    assert status == 200, body
    return list(json.loads(body)["sessions"])


def test_the_same_events_through_two_replicas_show_once(
    replicas: list[Served], opened: dict[str, str]
):
    """A client that got no answer from one replica sends the same to the other."""
    sid = new_id()
    batch = events(sid)
    for server in replicas:
        assert send(server, batch, opened) == 200
    assert send(replicas[0], batch[:5], opened) == 200
    for server in replicas:
        (one,) = listed(server, opened)
        assert (one["session_id"], one["events"], one["tokens"]) == (sid, STEPS, 3 * STEPS)
        _, _, body = server.request(f"/api/sessions/{sid}", **opened)
        assert len(json.loads(body)["events"]) == STEPS


def test_what_one_replica_takes_the_other_tells_its_readers(
    replicas: list[Served], opened: dict[str, str]
):
    """A page that is open at one server shows what came in through another."""
    connection = http.client.HTTPConnection("127.0.0.1", replicas[1].port, timeout=30)
    connection.request("GET", "/api/live", headers=opened)
    stream = connection.getresponse()
    seen = b""
    while b"event: open" not in seen:
        seen += stream.read1(1000)
    done = threading.Event()

    def write() -> None:
        # Until it was told: a reader that has not looked yet takes the first for what was there.
        while not done.wait(0.05):
            send(replicas[0], events(new_id(), 1), opened)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while b"event: changed" not in seen:
            got = stream.read1(1000)
            assert got, "the stream ended"
            seen += got
    finally:
        done.set()
        writer.join()
        connection.close()


def test_scores_through_one_replica_are_merged_where_the_other_reads(
    replicas: list[Served], opened: dict[str, str]
):
    """Two people judge one step at the same time, each at another replica."""
    sid = new_id()
    batch = events(sid, 1)
    send(replicas[0], batch, opened)
    for server, name in zip(replicas, ("helpful", "polite"), strict=True):
        body = {"event_id": batch[0]["event_id"], "name": name, "value": 1}
        status, _, told = server.request("/api/score", "POST", orjson.dumps(body), **JSON, **opened)
        assert status == 200, told
    for server in replicas:
        (one,) = listed(server, opened)
        assert one["scores"] == {"helpful": 1.0, "polite": 1.0}


def test_a_replica_killed_while_it_takes_loses_nothing_it_acknowledged(
    engine, tmp_path: Path, opened: dict[str, str], clickhouse: ClickHouseStore
):
    """kill -9 in the middle; its clients go on with the other replica, as the SDK's spool does."""
    acknowledged: list[str] = []
    unsure: list[list[dict[str, Any]]] = []
    home = tmp_path / "home" / "unused.db"
    home.parent.mkdir()

    def client(port: int, stop: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not stop.is_set():
            batch = events(new_id(), 10)
            try:
                connection.request(
                    "POST", "/v1/events/batch", orjson.dumps({"events": batch}), {**JSON, **opened}
                )
                reply = connection.getresponse()
                reply.read()
                if reply.status == 200:
                    acknowledged.append(batch[0]["session_id"])
                    continue
            except (OSError, http.client.HTTPException):
                stop.set()
            unsure.append(batch)

    with serving(home, "--keys", store=engine.url()) as kept:
        stop = threading.Event()
        try:
            with serving(home, "--keys", store=engine.url()) as killed:
                threads = [
                    threading.Thread(target=client, args=(killed.port, stop)) for _ in range(3)
                ]
                for one in threads:
                    one.start()
                eventually(lambda: len(acknowledged) > 8, within=60)
                killed.process.kill()
                for one in threads:
                    one.join(40)
        except AssertionError:
            assert killed.process.returncode == -9  # it did not stop by itself: it was killed
        assert unsure, "the kill hit nobody"
        for batch in unsure:
            assert send(kept, batch, opened) == 200
    sent = {*acknowledged, *(batch[0]["session_id"] for batch in unsure)}
    shown = clickhouse.sessions(SessionQuery(limit=5000)).sessions
    assert {one.session_id for one in shown} == sent
    assert {one.events for one in shown} == {10}


def test_an_answer_waits_for_the_insert(engine, opened: dict[str, str], replicas: list[Served]):
    """ClickHouse gathers rows of many inserts; an acknowledged one must be on its disk."""
    assert send(replicas[0], events(new_id(), 1), opened) == 200
    settings = engine.seen()["events"]
    assert (settings["async_insert"], settings["wait_for_async_insert"]) == ("1", "1")


class Wire:
    """A way to the engine that can be cut and mended, like a network."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while got := source.recv(65536):
                target.sendall(got)
            target.shutdown(socket.SHUT_WR)


def test_while_clickhouse_is_away_clients_are_told_when_to_come_again(
    engine, tmp_path: Path, opened: dict[str, str], clickhouse: ClickHouseStore
):
    """The server stays up, loses nothing it said yes to, and goes on by itself when it is back."""
    wire = Wire(engine.port)
    url = engine.url().replace(str(engine.port), str(wire.port))
    with serving(tmp_path / "unused.db", "--keys", store=url) as server:
        eventually(lambda: server.request("/api/about", **opened)[0] == 200, within=30)
        batch = events(new_id(), 3)
        assert send(server, batch[:1], opened) == 200
        wire.cut()
        body = orjson.dumps({"events": batch})
        status, headers, told = server.request("/v1/events/batch", "POST", body, **JSON, **opened)
        assert (status, headers["retry-after"]) == (503, "1"), told
        status, headers, told = server.request("/api/sessions", **opened)
        assert (status, headers["retry-after"]) == (503, "1"), told
        wire.mend()
        eventually(lambda: send(server, batch, opened) == 200, within=60)
        assert [one["events"] for one in listed(server, opened)] == [3]
    wire.cut()


def test_without_its_database_a_store_says_when_to_come_again_or_what_to_do(engine):
    """The SDK keeps what it could not deliver, and asks again after the time it is told."""
    gone = Connection(parse("clickhouse://127.0.0.1:9/traces"))
    with pytest.raises(StoreBusyError, match="does not answer"):
        ClickHouseStore(gone, "p").write([event(new_id())])
    gone.close()
    bare = engine.line("never_made")
    with pytest.raises(StoreError, match="sessiontrace store migrate"):
        ClickHouseStore(bare, "p").open()
    with pytest.raises(StoreError, match="sessiontrace store migrate"):
        ClickHouseStore(bare, "p").write([event(new_id())])
    bare.close()
