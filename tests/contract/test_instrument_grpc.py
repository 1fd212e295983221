"""gRPC's servers, plain and awaited: a session for each call, until its last response."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from support.instrumented import ModelTracer, instrumented

from sessiontrace.capture.context.w3c import inject
from sessiontrace.instrumentation.web.grpc_server import grpc_interceptor

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CHOSEN = "0b1f9ba7-2c3a-4c5d-8e6f-7a8b9c0d1e2f"
STRANGER = (
    ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),
    ("baggage", f"session.id={CHOSEN},user.id=root"),
)


class Shop:
    """The methods of a plain servicer. ``wait``: called in each step."""

    def __init__(self, tracing: ModelTracer, wait: Callable[[], None] = lambda: None) -> None:
        self.tracing = tracing
        self.wait = wait

    def Buy(self, request: bytes, context: Any) -> bytes:
        with self.tracing.span(f"work for {request.decode()}"):
            self.wait()
            if request == b"bad":
                raise ValueError("no seat")
            if request == b"unknown":
                context.abort(grpc.StatusCode.NOT_FOUND, "no such seat")
            if request == b"broken":
                context.abort(grpc.StatusCode.INTERNAL, "no database")
        return request

    def Watch(self, request: bytes, context: Any) -> Iterator[bytes]:
        for number in range(3):
            with self.tracing.span(f"piece {number} for {request.decode()}"):
                self.wait()
                yield request

    def Fill(self, requests: Iterator[bytes], context: Any) -> bytes:
        with self.tracing.span("fill"):
            return b",".join(requests)

    def Talk(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            with self.tracing.span(f"answer {request.decode()}"):
                yield request


class AsyncShop:
    """The same, awaited."""

    def __init__(self, tracing: ModelTracer) -> None:
        self.tracing = tracing

    async def Buy(self, request: bytes, context: Any) -> bytes:
        with self.tracing.span(f"work for {request.decode()}"):
            if request == b"bad":
                raise ValueError("no seat")
            if request == b"unknown":
                await context.abort(grpc.StatusCode.NOT_FOUND, "no such seat")
            if request == b"broken":
                await context.abort(grpc.StatusCode.INTERNAL, "no database")
        return request

    async def Watch(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(3):
            with self.tracing.span(f"piece {number} for {request.decode()}"):
                yield request

    async def Fill(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        with self.tracing.span("fill"):
            return b",".join([request async for request in requests])

    async def Talk(self, requests: AsyncIterator[bytes], context: Any) -> None:
        async for request in requests:
            with self.tracing.span(f"answer {request.decode()}"):
                await context.write(request)


def handlers(shop: Any) -> Any:
    methods = {
        "Buy": grpc.unary_unary_rpc_method_handler(shop.Buy),
        "Watch": grpc.unary_stream_rpc_method_handler(shop.Watch),
        "Fill": grpc.stream_unary_rpc_method_handler(shop.Fill),
        "Talk": grpc.stream_stream_rpc_method_handler(shop.Talk),
    }
    return grpc.method_handlers_generic_handler("shop.Shop", methods)


@contextmanager
def serving(shop: Any, *interceptors: Any, threads: int = 2) -> Iterator[grpc.Channel]:
    server = grpc.server(ThreadPoolExecutor(threads), interceptors=interceptors)
    server.add_generic_rpc_handlers((handlers(shop),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(0).wait(10)


def ended(tracing: ModelTracer) -> list[dict[str, Any]]:
    return [record for kind, record in tracing.records if kind == "end"]


def wait_for_ends(tracing: ModelTracer, count: int) -> list[dict[str, Any]]:
    """The client has its answer a moment before the server's thread is done."""
    deadline = time.monotonic() + 10
    while len(ended(tracing)) < count and time.monotonic() < deadline:
        time.sleep(0.002)
    return ended(tracing)


def steps(tracing: ModelTracer) -> dict[str, list[str]]:
    """Each session's steps, by the name of the session."""
    names = {end["session_id"]: end["event_name"] for end in ended(tracing)}
    found: dict[str, list[str]] = {}
    for event in tracing.events:
        found.setdefault(names[event["session_id"]], []).append(event["event_name"])
    return found


STEPS = {
    "shop.Shop/Buy": ["work for ada"],
    "shop.Shop/Watch": [f"piece {number} for eve" for number in range(3)],
    "shop.Shop/Fill": ["fill"],
    "shop.Shop/Talk": ["answer a", "answer b"],
}


def check(tracing: ModelTracer) -> None:
    """What both kinds of servers record for the four kinds of methods."""
    ends = {end["event_name"]: end for end in wait_for_ends(tracing, 4)}
    assert steps(tracing) == STEPS
    assert ends["shop.Shop/Buy"]["inputs"] == {"method": "/shop.Shop/Buy"}
    assert all(end["outputs"] == {"status": "OK"} for end in ends.values())
    assert ends["shop.Shop/Watch"]["metrics"] == {"responses": 3}
    assert not any(end.get("error") for end in ends.values())


def test_a_plain_server() -> None:
    """All four kinds of methods; the interceptor given twice records once."""
    tracing = ModelTracer()
    interceptors = [grpc_interceptor(tracing), grpc_interceptor(tracing)]  # type: ignore[arg-type]
    with serving(Shop(tracing), *interceptors) as channel:
        assert channel.unary_unary("/shop.Shop/Buy")(b"ada") == b"ada"
        assert list(channel.unary_stream("/shop.Shop/Watch")(b"eve")) == [b"eve"] * 3
        assert channel.stream_unary("/shop.Shop/Fill")(iter([b"1", b"2"])) == b"1,2"
        assert list(channel.stream_stream("/shop.Shop/Talk")(iter([b"a", b"b"]))) == [b"a", b"b"]
        check(tracing)


@pytest.mark.asyncio
async def test_an_awaited_server() -> None:
    """The same, with a generator and with ``context.write``."""
    with instrumented("grpc-server") as tracing:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((handlers(AsyncShop(tracing)),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary("/shop.Shop/Buy")(b"ada") == b"ada"
            watched = channel.unary_stream("/shop.Shop/Watch")(b"eve")
            assert [piece async for piece in watched] == [b"eve"] * 3
            assert await channel.stream_unary("/shop.Shop/Fill")(iter([b"1", b"2"])) == b"1,2"
            talk = channel.stream_stream("/shop.Shop/Talk")(iter([b"a", b"b"]))
            assert [piece async for piece in talk] == [b"a", b"b"]
            for request in (b"bad", b"unknown", b"broken"):
                with pytest.raises(grpc.aio.AioRpcError):
                    await channel.unary_unary("/shop.Shop/Buy")(request)
        await server.stop(0)
    failures(ended(tracing)[4:])
    tracing.records[:] = [
        (kind, record) for kind, record in tracing.records
        if "Buy" not in record["event_name"] or record.get("outputs") == {"status": "OK"}
    ]  # fmt: skip
    assert {end["event_name"] for end in ended(tracing)} == set(STEPS)


@pytest.mark.asyncio
async def test_plain_methods_of_an_awaited_server() -> None:
    """grpc.aio runs them in a pool of threads."""
    with instrumented("grpc-server") as tracing, ThreadPoolExecutor(1) as pool:
        server = grpc.aio.server(pool)
        server.add_generic_rpc_handlers((handlers(Shop(tracing)),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary("/shop.Shop/Buy")(b"ada") == b"ada"
            watched = channel.unary_stream("/shop.Shop/Watch")(b"eve")
            assert [piece async for piece in watched] == [b"eve"] * 3
        await server.stop(0)
    assert steps(tracing) == {name: STEPS[name] for name in ("shop.Shop/Buy", "shop.Shop/Watch")}
    assert all(end["outputs"] == {"status": "OK"} for end in ended(tracing))


def failures(ends: list[dict[str, Any]]) -> None:
    """An exception and a fault of the server are errors, a refusal is a status."""
    raised, refused, broken = ends
    assert raised["error"] == "ValueError: no seat"
    assert refused["outputs"] == {"status": "NOT_FOUND"}
    assert not refused.get("error")
    assert broken["error"] == "INTERNAL: no database"


def test_failures_of_a_plain_server() -> None:
    """As with the awaited one."""
    with instrumented("grpc-server") as tracing, serving(Shop(tracing)) as channel:
        for count, request in enumerate((b"bad", b"unknown", b"broken"), 1):
            with pytest.raises(grpc.RpcError):
                channel.unary_unary("/shop.Shop/Buy")(request)
            wait_for_ends(tracing, count)
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            channel.unary_unary("/shop.Shop/Sell")(b"")
    failures(ended(tracing))


def test_a_stream_that_the_client_leaves_ends_its_session() -> None:
    """Marked as cancelled, without an error."""
    going = threading.Event()
    tracing = ModelTracer()

    class Endless(Shop):
        def Watch(self, request: bytes, context: Any) -> Iterator[bytes]:
            while not going.wait(0.001):
                yield request

    with serving(Endless(tracing), grpc_interceptor(tracing)) as channel:  # type: ignore[arg-type]
        call = channel.unary_stream("/shop.Shop/Watch")(b"eve")
        next(call)
        call.cancel()
        (end,) = wait_for_ends(tracing, 1)
        going.set()
    assert end["outputs"] == {"status": "CANCELLED"}
    assert end["metadata"]["cancelled"] is True
    assert not end.get("error")


def test_E14_a_stranger_chooses_neither_session_nor_user() -> None:
    """Metadata counts as far as ``trust`` says, as headers of HTTP do; ours continue a span."""
    sessions = {}
    for trust in ("none", "trace", "all"):
        tracing = ModelTracer()
        interceptor = grpc_interceptor(tracing, trust=trust)  # type: ignore[arg-type]
        with serving(Shop(tracing), interceptor) as channel:
            channel.unary_unary("/shop.Shop/Buy")(b"ada", metadata=STRANGER)
            (end,) = wait_for_ends(tracing, 1)
        sessions[trust] = (tracing.events[0]["session_id"], end.get("user_properties"))
    assert sessions["none"][0].replace("-", "") != TRACE
    assert sessions["trace"][0].replace("-", "") == TRACE
    assert sessions["trace"][1] is None
    assert sessions["all"] == (CHOSEN, {"user_id": "root"})


def test_a_call_of_ours_is_a_span_of_the_caller() -> None:
    """``st.inject`` into the metadata; an ignored method has no session."""
    tracing = ModelTracer()
    interceptor = grpc_interceptor(  # type: ignore[arg-type]
        tracing, ignore={"/shop.Shop/Watch"}
    )
    with serving(Shop(tracing), interceptor) as channel, tracing.session("caller") as session:
        headers: dict[str, str] = inject(session, {})
        channel.unary_unary("/shop.Shop/Buy")(b"ada", metadata=tuple(headers.items()))
        deadline = time.monotonic() + 10
        while len(tracing.events) < 2 and time.monotonic() < deadline:
            time.sleep(0.002)
    assert tracing.paths == ["shop.Shop/Buy", "shop.Shop/Buy/work for ada"]
    assert {event["session_id"] for event in tracing.events} == {session.session_id}


def test_calls_in_eight_threads_share_nothing() -> None:
    """Two users' calls and streams, interleaved step by step."""
    barrier = threading.Barrier(8)
    tracing = ModelTracer()
    shop = Shop(tracing, lambda: barrier.wait(10) and None)
    interceptor = grpc_interceptor(tracing)  # type: ignore[arg-type]
    with serving(shop, interceptor, threads=8) as channel, ThreadPoolExecutor(8) as pool:
        watch = channel.unary_stream("/shop.Shop/Watch")
        calls = [pool.submit(lambda who: list(watch(who)), who) for who in (b"ada", b"bob") * 8]
        assert all(len(call.result()) == 3 for call in calls)
        wait_for_ends(tracing, 16)
    owners: dict[str, set[str]] = {}
    for event in tracing.events:
        owners.setdefault(event["session_id"], set()).add(event["event_name"].split()[-1])
    assert len(owners) == 16
    assert all(len(users) == 1 for users in owners.values())
