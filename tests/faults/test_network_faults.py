"""Catalogue C: networks and backends, whole tracers against real sockets. What concerns a single
exchange is in unit/test_http_transport.py, what concerns a lane's clock in unit/test_lane_*.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.fake_backend import Backend, Seen, answer, close, eventually, read_request, reset, send
from support.lane_harness import Run, event
from support.lane_harness import numbers as numbers_in
from support.subprocesses import run
from support.tracers import arrived, hive, names, settled, steps, tracing

import sessiontrace as st
from sessiontrace.export import backoff, sender
from sessiontrace.export.http_transport import HttpTransport
from sessiontrace.export.protocol import Reply, Request
from sessiontrace.runtime import log
from sessiontrace.spool.status import inspect


@pytest.fixture(autouse=True)
def _told_nothing_yet() -> None:
    log.reset()


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def dead_letters(spool: Path) -> list[dict[str, Any]]:
    path = spool / "dead" / "honeyhive.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


# -- the four ways of being dead, and the neighbour that must not feel them ------------------


def _refusing(stack: contextlib.ExitStack, patch: pytest.MonkeyPatch) -> st.HoneyHive:
    gone = stack.enter_context(Backend())
    gone.down()
    return hive(gone, name="dead")


def _hanging(stack: contextlib.ExitStack, patch: pytest.MonkeyPatch) -> st.HoneyHive:
    return hive(stack.enter_context(Backend(lambda request: answer(delay=60))), name="dead")


def _no_such_name(stack: contextlib.ExitStack, patch: pytest.MonkeyPatch) -> st.HoneyHive:
    return st.HoneyHive(api_key="k", base_url="https://no-such-host.invalid", name="dead")


def _silent_name_server(stack: contextlib.ExitStack, patch: pytest.MonkeyPatch) -> st.HoneyHive:
    look_up = socket.getaddrinfo
    answered = stack.enter_context(_Event())

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if host == "silent.invalid":
            answered.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return look_up(host, *args, **options)

    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    return st.HoneyHive(api_key="k", base_url="https://silent.invalid", name="dead")


class _Event:
    """An event that is set at the end of the block, so that no thread waits any longer."""

    def __enter__(self) -> Any:
        import threading

        self.event = threading.Event()
        return self.event

    def __exit__(self, *exc: object) -> None:
        self.event.set()


def _rate(spool: Path, live: Backend, *others: st.HoneyHive, count: int = 3000) -> float:
    """Events a second that the live destination takes."""
    with tracing(spool, hive(live, name="live"), *others) as tracer:
        steps(tracer, 10)
        settled(tracer, "live")
        begun = time.perf_counter()
        steps(tracer, count)
        settled(tracer, "live", timeout=30)
        return count / (time.perf_counter() - begun)


@pytest.mark.parametrize("death", [_refusing, _hanging, _no_such_name, _silent_name_server])
def test_C01_a_dead_destination_is_not_felt_by_a_live_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: Callable[..., st.HoneyHive]
) -> None:
    """One destination refuses, hangs, has no address or a name server that never answers. The one
    beside it takes as many events a second as it did alone: a ratio of 0.9 or better, in one run.
    """
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(Backend(latency=0.005))
        dead = death(stack, monkeypatch)
        alone = beside = 0.0
        for attempt in range(8):  # the machine may be busy with something else: the best of each
            alone = max(alone, _rate(tmp_path / f"alone-{attempt}", live))
            beside = max(beside, _rate(tmp_path / f"beside-{attempt}", live, dead))
            if beside >= 0.9 * alone:
                break
        print(f"{death.__name__}: {beside / alone:.2f}")
        assert beside >= 0.9 * alone


def test_C01_a_dead_backend_costs_no_cpu_and_keeps_everything(tmp_path: Path) -> None:
    """Nobody listens. The sender waits between its tries, and all is still there."""
    with Backend() as gone:
        gone.down()
        with tracing(tmp_path / "spool", hive(gone)) as tracer:
            steps(tracer, 100)
            eventually(lambda: tracer.stats().destinations["honeyhive"].state == "retrying")
            before = sum(psutil.Process().cpu_times()[:2])
            begun = time.monotonic()
            eventually(lambda: time.monotonic() - begun > 0.5)
            idle = sum(psutil.Process().cpu_times()[:2]) - before
            assert tracer.stats().destinations["honeyhive"].pending == 102
    assert idle < 0.4, f"{idle:.2f} s of CPU in half a second of waiting"


def test_C10_a_limited_destination_waits_alone(tmp_path: Path) -> None:
    """One backend answers 429 with Retry-After: 30. It is left alone, while the other gets
    everything at once.
    """
    with (
        Backend(lambda request: answer(429, headers={"Retry-After": "30"})) as limited,
        Backend() as live,
        tracing(tmp_path / "spool", hive(limited, "limited"), hive(live, "live")) as tracer,
    ):
        steps(tracer, 500)
        assert settled(tracer, "live").acked == 502
        eventually(lambda: tracer.stats().destinations["limited"].state == "retrying")
        books = tracer.stats().destinations["limited"]
        assert (books.acked, books.pending) == (0, 502)
        assert len(limited.requests) == 1
        assert len(names(live)) == 500


# -- answers ---------------------------------------------------------------------------------


def test_C05_every_way_to_break_off_ends_in_the_same_bytes_again(
    backend: Backend, tmp_path: Path
) -> None:
    """The connection breaks at any point, before, within and after the request. Everything arrives
    in the end, and what arrives twice is the same to the byte.
    """
    backend.scripts.extend(
        [
            [reset()],
            [read_request(), reset()],
            [read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nha"), close()],
        ]
    )
    with tracing(tmp_path / "spool", hive(backend)) as tracer, _quick_retries():
        steps(tracer, 20)
        assert settled(tracer).acked == 22
    bodies = Counter(r.body for r in backend.requests if r.path == "/v1/events/batch")
    assert names(backend) == {f"step {number}" for number in range(20)}
    assert len(bodies) == 1
    sessions = [r.body for r in backend.requests if r.path == "/v1/sessions"]
    assert len(sessions) >= 2
    assert len(set(sessions)) == 1


def test_C24_an_error_after_the_commit_repeats_the_same_ids(
    backend: Backend, tmp_path: Path
) -> None:
    """The backend stored the batch and then failed: it gets it again, with the same event ids, so
    that whoever stores it can tell.
    """
    failing = iter([500, 500])

    def respond(request: Seen) -> Any:
        return answer(next(failing, 200) if request.path == "/v1/events/batch" else 200)

    backend.responder = respond
    with tracing(tmp_path / "spool", hive(backend)) as tracer, _quick_retries():
        steps(tracer, 30)
        assert settled(tracer).acked == 32
    ids = Counter(one["event_id"] for one in arrived(backend))
    assert set(ids.values()) == {3}
    assert len(ids) == 30


def test_C07_a_captive_portal_gets_nothing_more_and_takes_nothing(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The network of a hotel answers everything with its own page and status 200. That is no
    acknowledgement: the data is kept, and it is said once.
    """
    page = {"Content-Type": "text/html; charset=utf-8"}
    backend.responder = lambda request: answer(200, b"<html>Welcome</html>", headers=page)
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 10)
        eventually(lambda: tracer.stats().destinations["honeyhive"].state == "blocked")
        books = tracer.stats().destinations["honeyhive"]
        assert (books.acked, books.pending) == (0, 12)
        assert "blocked" in caplog.text
    assert inspect(tmp_path / "spool")[0].lags[0].pending == 12


def test_C13_one_poison_event_in_a_hundred(backend: Backend, tmp_path: Path) -> None:
    """HoneyHive refuses a whole batch with 400 because of one event in it. The other 99 are
    delivered, the poison lies in the dead letters with status and reason, and the search took at
    most 14 requests more than a batch without it.
    """

    def respond(request: Seen) -> Any:
        poisoned = b'"poison"' in request.body
        return answer(400, {"message": "outputs must not hold poison"}) if poisoned else answer()

    backend.responder = respond
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.session("s"):
            for number in range(100):
                kind = "poison" if number == 37 else "step"
                with tracer.span(f"step {number}", type="tool", inputs={"kind": kind}):
                    pass
        books = settled(tracer)
        assert (books.acked, books.rejected, books.pending) == (101, 1, 0)
        assert tracer.stats().accepted == 102
    taken = {e["event_name"] for e in arrived(backend) if e["inputs"]["kind"] == "step"}
    assert len(taken) == 99
    assert len(backend.requests) <= 2 + 14
    (letter,) = dead_letters(tmp_path / "spool")
    assert letter["record"]["event_name"] == "step 37"
    assert letter["reason"].startswith("HTTP 400")
    assert "outputs must not hold poison" in letter["reason"]


def test_C12_what_is_too_large_is_split(backend: Backend, tmp_path: Path) -> None:
    """A proxy in front of the backend takes no request over 100 kB and says 413. The batch is
    halved until it fits, everything arrives, and later batches are small from the start.
    """

    def respond(request: Seen) -> Any:
        return answer(413 if len(request.body) > 100_000 else 200)

    backend.responder = respond
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 60, text="x" * 10_000)
        assert settled(tracer).acked == 62
        refused = len([r for r in backend.requests if len(r.body) > 100_000])
        steps(tracer, 60, start=60, text="x" * 10_000)
        assert settled(tracer).acked == 124
        again = len([r for r in backend.requests if len(r.body) > 100_000]) - refused
    small = {e["event_name"] for r in backend.requests if len(r.body) <= 100_000
             for e in (r.json.get("events") or ())}  # fmt: skip
    assert small == {f"step {number}" for number in range(120)}
    assert refused >= 3
    assert again < refused


def test_C15_a_wrong_key_keeps_the_data_and_goes_on_when_it_is_right(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    """The key was revoked: 401 to everything. Nothing is thrown away, one probe goes out now and
    then, and when the key is valid again all of it is delivered, the key never being shown.
    """
    valid = False
    backend.responder = lambda request: answer(200 if valid else 401)
    monkeypatch.setattr(backoff, "PROBES_S", (0.3,))
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 25)
        eventually(lambda: tracer.stats().destinations["honeyhive"].state == "blocked")
        assert len(backend.requests) == 1
        books = tracer.stats().destinations["honeyhive"]
        assert (books.acked, books.rejected, books.pending) == (0, 0, 27)
        assert "401" in books.last_error
        valid = True
        assert settled(tracer).acked == 27
    assert dead_letters(tmp_path / "spool") == []
    assert [r.message for r in caplog.records if "blocked" in r.message].__len__() == 1
    assert "hh_a_key" not in caplog.text + repr(books)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_C16_a_redirect_is_not_followed_and_nothing_goes_there(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """A redirect to another host would carry the records and the key there. Nobody contacts it."""
    with Backend() as other:
        place = f"http://user:secret@127.0.0.1:{other.port}/elsewhere"
        backend.responder = lambda request: answer(status, headers={"Location": place})
        with tracing(tmp_path / "spool", hive(backend)) as tracer:
            steps(tracer, 5)
            eventually(lambda: tracer.stats().destinations["honeyhive"].state == "blocked")
            assert tracer.stats().destinations["honeyhive"].pending == 7
        assert other.connections == 0
        assert "secret" not in caplog.text


@pytest.mark.asyncio
async def test_C11_after_an_hour_of_503_a_backlog_goes_out_in_order_and_without_a_stampede() -> (
    None
):
    """The backend is down for an hour while 100 000 records pile up. It is asked about once a
    minute, one request goes ahead when it returns, and everything follows in order.
    """
    up = False
    got: list[int] = []

    def respond(request: Request) -> Reply:
        if up:
            got.extend(numbers_in(request))
        return Reply(200 if up else 503)

    storm = Run(respond, [event(n) for n in range(100_000)])
    begun = storm.clock.time
    await storm.until(lambda: storm.clock.time - begun > 3600)
    assert len(storm.sent) < 75
    up, before = True, len(storm.sent)
    await storm.until(lambda: storm.done)
    assert got == list(range(100_000))
    assert len(storm.sent) - before in (99, 100), "one of them was in flight at the turn"
    await storm.end()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param(
            [read_request(), send(b"HTTP/1.1 100 Continue\r\n\r\n"), *answer(202)], 202, id="100"
        ),
        pytest.param(
            [read_request(), send(b"HTTP/1.0 200 OK\r\n\r\nbody until the end"), close()], 200,
            id="HTTP/1.0",
        ),
        pytest.param(
            [read_request(), send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  b"2\r\n{}\r\n0\r\nX-Trailer: t\r\n\r\n")], 200, id="trailers",
        ),
        pytest.param([read_request(), *answer(204, b"")], 204, id="no content"),
    ],
)  # fmt: skip
async def test_C26_old_and_odd_but_legal_answers_are_understood(
    backend: Backend, script: Any, status: int
) -> None:
    """Interim answers, HTTP/1.0 that ends with the connection, chunks with trailers."""
    backend.scripts.append(script)
    transport = HttpTransport(backend.url, total=5)
    try:
        reply = await transport.send(Request("POST", "/x", b"{}", (0,)), [event(1)])
    finally:
        await transport.close()
    assert reply.status == status


@pytest.mark.asyncio
async def test_C26_a_body_shorter_than_its_length_is_a_failure_and_no_hang(
    backend: Backend,
) -> None:
    """Content-Length promises more than comes: that is no answer, and it ends."""
    backend.scripts.append(
        [read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), close()]
    )
    transport = HttpTransport(backend.url, total=5)
    try:
        with pytest.raises(OSError, match="connection"):
            await transport.send(Request("POST", "/x", b"{}", (0,)), [event(1)])
    finally:
        await transport.close()


@pytest.mark.asyncio
async def test_C23_an_address_that_swallows_packets_is_not_waited_for(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two addresses is a black hole: a socket whose queue is full answers no SYN. The
    second is tried after a fraction of a second, not after the connect timeout.
    """
    hole = socket.create_server(("127.0.0.2", backend.port), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            filler.connect(("127.0.0.2", backend.port))
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    monkeypatch.setattr(
        socket, "getaddrinfo",
        lambda *args, **options: [(*kind, (ip, backend.port)) for ip in ("127.0.0.2", "127.0.0.1")],
    )  # fmt: skip
    transport = HttpTransport(f"http://two-addresses.test:{backend.port}")
    try:
        begun = time.monotonic()
        reply = await transport.send(Request("POST", "/x", b"{}", (0,)), [event(1)])
        assert reply.status == 200
        assert time.monotonic() - begun < 4, "long before the attempt at the other one is given up"
        assert backend.connections == 1
    finally:
        await transport.close()
        for one in (hole, *fillers):
            one.close()


@pytest.mark.parametrize(
    "url",
    ["", "api.honeyhive.ai", "ftp://x", "https://", "https://user:pw@x", "https://x/?a=b",
     "http://example.com", "https://x:99999"],
)  # fmt: skip
def test_C27_a_bad_address_fails_at_init_and_not_later(url: str, tmp_path: Path) -> None:
    """A typing error in the configuration is the programmer's to see, at once and in words."""
    if not url:
        with pytest.raises(st.ConfigError):
            st.Tracer(st.Humanloop(api_key="k"), spool=tmp_path)
        return
    with pytest.raises(st.ConfigError, match=re.escape("honeyhive")):
        st.Tracer(st.HoneyHive(api_key="k", base_url=url), spool=tmp_path)


# -- volume ----------------------------------------------------------------------------------

FLOOD = """
import functools, os, sys, time
import psutil
import sessiontrace as st

url, spool, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
from sessiontrace.export import backoff
backoff.Backoff = functools.partial(backoff.Backoff, initial_s=0.02)
st.init(st.HoneyHive(api_key="k", base_url=url), spool=spool)
me = psutil.Process()
sizes = []
for number in range(count // 100):
    with st.session(f"session {number}"):
        for step in range(100):
            with st.span("step", type="tool", inputs={"number": 100 * number + step}):
                pass
    while st.stats().destinations["honeyhive"].pending > 20_000:
        time.sleep(0.01)
    if number % 50 == 49:
        sizes.append(me.memory_info().rss >> 10)
report = st.flush(timeout=60)
sizes.append(me.memory_info().rss >> 10)
books = report.stats.destinations["honeyhive"]
print(report.complete, books.acked, report.stats.accepted, books.retries, *sizes)
st.shutdown(5)
"""


def test_C11_a_hundred_thousand_events_through_a_backend_that_fails_a_third_of_the_time(
    tmp_path: Path,
) -> None:
    """Three requests in ten fail at random, before or after the backend stored them. Every event
    arrives, ids are unique once duplicates are taken out, and memory stays where it was.
    """
    dice = random.Random(30)
    ids: dict[str, int] = {}

    def respond(request: Seen) -> Any:
        failing, stored = dice.random() < 0.3, dice.random() < 0.5
        if request.path == "/v1/events/batch" and (not failing or stored):
            for one in request.json["events"]:
                known = ids.setdefault(one["event_id"], one["inputs"]["number"])
                assert known == one["inputs"]["number"]
        backend.requests.clear()
        return answer(dice.choice([500, 502, 503, 408]) if failing else 200)

    with Backend(respond) as backend:
        done = run(FLOOD, tmp_path, backend.url, str(tmp_path / "spool"), "100000", limit=55)
    complete, acked, accepted, retries, *sizes = done.stdout.split()
    print(f"retries {retries}, RSS in KiB {sizes}")
    assert complete == "True"
    assert acked == accepted == "102000"
    assert sorted(ids.values()) == list(range(100_000))
    assert int(retries) > 50
    third = len(sizes) // 3
    assert max(map(int, sizes)) < 1.25 * max(map(int, sizes[: third + 1])), sizes


@contextlib.contextmanager
def _quick_retries() -> Iterator[None]:
    """Backoff in hundredths of a second: the test is not about how long it waits."""
    patch = pytest.MonkeyPatch()
    patch.setattr(sender, "Backoff", functools.partial(sender.Backoff, initial_s=0.02))
    try:
        yield
    finally:
        patch.undo()


def test_C14_a_backend_that_refuses_everything_is_blocked_and_loses_nothing(
    backend: Backend, tmp_path: Path
) -> None:
    """A release of the backend breaks its own schema and says 400 to all: the fault is not in the
    events, so none goes to the dead letters, and all are delivered when it is mended.
    """
    broken = True
    backend.responder = lambda request: answer(400 if broken else 200)
    patch = pytest.MonkeyPatch()
    patch.setattr(backoff, "PROBES_S", (0.2,))
    try:
        with tracing(tmp_path / "spool", hive(backend)) as tracer:
            steps(tracer, 50)
            eventually(lambda: tracer.stats().destinations["honeyhive"].state == "blocked")
            assert tracer.stats().destinations["honeyhive"].rejected == 0
            broken = False
            assert settled(tracer).acked == 52
        assert dead_letters(tmp_path / "spool") == []
        assert len(names(backend)) == 50
    finally:
        patch.undo()


def test_C32_a_backend_that_refuses_everything_loses_no_record_of_low_traffic(
    backend: Backend, tmp_path: Path
) -> None:
    """A program records now and then, so each batch is one record: a backend that refuses
    everything refuses each alone. All stay in the spool, and the next run delivers them.
    """
    backend.responder = lambda request: answer(422)
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        with tracer.session("s"):
            for number in range(3):
                with tracer.span(f"step {number}", type="tool"):
                    pass
                sent = len(backend.requests)
                assert not tracer.flush(5)
                if not number:
                    eventually(lambda sent=sent: len(backend.requests) > sent)
        books = tracer.stats().destinations["honeyhive"]
        assert (books.state, books.acked, books.rejected) == ("blocked", 0, 0)
    assert dead_letters(tmp_path / "spool") == []
    backend.responder = lambda request: answer(200)
    with tracing(tmp_path / "spool", hive(backend)) as tracer:
        steps(tracer, 1, start=3)
        eventually(lambda: len(names(backend)) == 4)
        assert settled(tracer).rejected == 0
        assert tracer.stats().destinations["honeyhive"].adopted_rejected == 0


def test_C32_a_bad_event_of_low_traffic_is_set_aside_when_the_next_one_arrives(
    backend: Backend, tmp_path: Path
) -> None:
    """The only event of a batch is refused, and the backend accepts the one after it."""
    posthog = st.PostHog(api_key="phc_k", base_url=backend.url)
    backend.responder = lambda request: answer(400 if b'"poison"' in request.body else 200)
    with tracing(tmp_path / "spool", posthog) as tracer:
        with tracer.session("s"):
            assert tracer.flush(5)
            with tracer.span("poison", type="tool"):
                pass
            assert not tracer.flush(5)
            books = tracer.stats().destinations["posthog"]
            assert (books.state, books.rejected, books.pending) == ("blocked", 0, 1)
            with tracer.span("fine", type="tool"):
                pass
            assert settled(tracer, "posthog").rejected == 1


@pytest.mark.asyncio
async def test_C21_a_proxy_in_the_environment_is_not_used_for_this_machine(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY points to a proxy that is dead, or that wants a password (407): requests for
    this machine go straight to their backend.
    """
    with Backend(lambda request: answer(407)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        transport = HttpTransport(backend.url)
        try:
            reply = await transport.send(Request("POST", "/x", b"{}", (0,)), [event(1)])
        finally:
            await transport.close()
        assert reply.status == 200
        assert proxy.connections == 0
        await asyncio.sleep(0)
