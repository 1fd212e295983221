"""What holds for the SDK of every provider that Stainless generated: one suite, a class per SDK.

A test module describes its SDK in an ``SdkUnderTest``, has the fixtures ``provider``, ``tracing``
and ``client``, and subclasses ``StainlessSuite``.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from support.instrumented import ModelTracer
from support.stubs.provider import Provider

from sessiontrace.instrumentation.core.model_calls import ModelCall
from sessiontrace.instrumentation.registry import Instruments

__all__ = ["SdkUnderTest", "StainlessSuite", "has_fields"]


@dataclass(frozen=True)
class SdkUnderTest:
    """How to use one SDK.

    ``resource(client)`` has the method ``create`` and its raw and streaming forms. ``ask(model,
    **options)`` gives the arguments of ``create``. ``has_text(chunk)``: whether a chunk brings
    text; ``text_of(answer)``: the text of a whole answer. ``leave_helper_early(client)`` breaks a
    stream off by a helper of the SDK. ``closes_dropped_streams``: whether the SDK closes the
    response of a stream that is collected half read.
    """

    package: str
    text: str
    async_client: Callable[..., Any]
    resource: Callable[[Any], Any]
    ask: Callable[..., dict[str, Any]]
    has_text: Callable[[Any], bool]
    text_of: Callable[[Any], str]
    leave_helper_early: Callable[[Any], Coroutine[Any, Any, None]]
    server_error: type[Exception]
    closes_dropped_streams: bool = True


def has_fields(event: dict[str, Any], group: str, expected: dict[str, Any]) -> None:
    """The event has these fields in the group, whatever else is there."""
    assert {name: event[group].get(name) for name in expected} == expected


def calls_alive() -> int:
    """The number of calls that something still refers to, those of other tests included."""
    gc.collect()
    return sum(isinstance(value, ModelCall) for value in gc.get_objects())


def collect_loop_errors() -> list[dict[str, Any]]:
    """A list that gets what the running loop would report to its exception handler."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    return errors


async def collect_garbage() -> None:
    """Collect dropped streams, and let the loop close them."""
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0.01)


class StainlessSuite:
    """One model event for each call, and an SDK that behaves as if nothing observed it."""

    sdk: ClassVar[SdkUnderTest]
    mixed_calls: ClassVar[int]

    @pytest.mark.parametrize("way", ["with", "close", "response", "next"])
    def test_a_stream_that_is_broken_off_keeps_what_came(
        self, tracing: ModelTracer, client: Any, way: str
    ) -> None:
        """The user has seen enough: the event has the text so far, and no error."""
        sdk = self.sdk
        stream = sdk.resource(client).create(**sdk.ask(stream=True))
        if way == "with":
            with stream:
                for chunk in stream:
                    if sdk.has_text(chunk):
                        break
        else:
            while not sdk.has_text(next(stream)):
                pass
        response = stream.response
        if way == "close":
            stream.close()
        elif way == "response":
            stream.response.close()
        del stream
        gc.collect()

        event = tracing.model
        assert event["outputs"]["content"] == "Hello"
        assert event["metadata"]["stream_end"] == ("dropped" if way == "next" else "closed")
        assert event.get("error") is None
        assert response.is_closed or (way == "next" and not sdk.closes_dropped_streams)
        assert type(response).__module__.startswith("httpx")

    def test_a_stream_that_is_never_read_still_ends(
        self, tracing: ModelTracer, client: Any
    ) -> None:
        """Dropped without a single chunk read: the call is recorded all the same."""
        self.sdk.resource(client).create(**self.sdk.ask(stream=True))
        gc.collect()

        assert tracing.model["metadata"]["stream_end"] == "dropped"

    @pytest.mark.parametrize("way", ["parse", "read", "json", "lines", "bytes", "unread"])
    def test_streaming_responses(self, tracing: ModelTracer, client: Any, way: str) -> None:
        """``with_streaming_response``: the user reads the body in any way, or not at all."""
        sdk = self.sdk
        create = sdk.resource(client).with_streaming_response.create
        with create(**sdk.ask()) as response:
            response_class = type(response)
            if way == "parse":
                assert sdk.text_of(response.parse()) == sdk.text
            elif way == "read":
                assert sdk.text.encode() in response.read()
            elif way == "json":
                assert response.json()["model"] == "ok-2026"
            elif way == "lines":
                assert sdk.text in "".join(response.iter_lines())
            elif way == "bytes":
                assert sdk.text.encode() in b"".join(response.iter_bytes())
        assert response_class.__name__ == "APIResponse"

        if way == "unread":
            assert tracing.model["metadata"]["stream_end"] == "closed"
        else:
            assert tracing.model["outputs"]["content"] == sdk.text
            assert "stream_end" not in tracing.model["metadata"]

    def test_uninstrument_restores(self, client: Any) -> None:
        """Afterwards the SDK is what it was, and nothing is recorded."""
        base = importlib.import_module(f"{self.sdk.package}._base_client")
        clients = (base.SyncAPIClient, base.AsyncAPIClient)
        before = [client_class.request for client_class in clients]
        tracer = ModelTracer()
        instruments = Instruments(tracer)
        instruments.add((self.sdk.package,), ())
        instruments.add((self.sdk.package,), ())
        for client_class, request in zip(clients, before, strict=True):
            assert client_class.request is not request
        instruments.remove()

        assert [client_class.request for client_class in clients] == before
        self.sdk.resource(client).create(**self.sdk.ask())
        assert tracer.records == []

    @pytest.mark.asyncio
    @pytest.mark.parametrize("way", ["with", "close", "response", "dropped"])
    async def test_async_stream_broken_off(
        self, tracing: ModelTracer, provider: Provider, way: str
    ) -> None:
        """In any way, with no error in the event loop and the response closed."""
        sdk = self.sdk
        loop_errors = collect_loop_errors()
        async with sdk.async_client(provider) as client:
            stream = await sdk.resource(client).create(**sdk.ask(stream=True))
            response = stream.response
            if way == "with":
                async with stream:
                    async for chunk in stream:
                        if sdk.has_text(chunk):
                            break
            else:
                while not sdk.has_text(await stream.__anext__()):
                    pass
            if way == "close":
                await stream.close()
            elif way == "response":
                await stream.response.aclose()
            del stream
            await collect_garbage()
            assert response.is_closed or way == "dropped"

        stream_end = "dropped" if way == "dropped" else "closed"
        assert loop_errors == []
        assert tracing.model["outputs"]["content"] == "Hello"
        assert tracing.model["metadata"]["stream_end"] == stream_end

    @pytest.mark.asyncio
    @pytest.mark.parametrize("streamed", [False, True])
    async def test_async_cancellation(
        self, tracing: ModelTracer, provider: Provider, streamed: bool
    ) -> None:
        """Cancelled before the answer, or in the middle of the stream: cancelled, not failed."""
        sdk = self.sdk
        before, under_way = len(provider.requests), asyncio.Event()
        async with sdk.async_client(provider) as client:
            create = sdk.resource(client).create

            async def work() -> None:
                if not streamed:
                    await create(**sdk.ask("never"))
                async for _ in await create(**sdk.ask("stuck", stream=True)):
                    under_way.set()

            task = asyncio.create_task(work())
            if streamed:
                await under_way.wait()
            else:
                while len(provider.requests) == before:
                    await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        assert tracing.model["metadata"]["cancelled"] is True
        assert tracing.model.get("error") is None

    @pytest.mark.asyncio
    @pytest.mark.slow
    async def test_mixed_calls_at_once_are_one_event_each(
        self, tracing: ModelTracer, provider: Provider
    ) -> None:
        """200 at a time, two fifths broken off: as many events, and a quiet event loop.

        Afterwards nothing of ours refers to an ended call.
        """
        sdk = self.sdk
        before = calls_alive()
        loop_errors = collect_loop_errors()
        gate = asyncio.Semaphore(200)

        async def call(number: int, client: Any) -> None:
            create = sdk.resource(client).create
            async with gate:
                kind = number % 5
                if kind == 0:
                    await create(**sdk.ask())
                elif kind == 1:
                    async for _ in await create(**sdk.ask(stream=True)):
                        pass
                elif kind == 2:
                    await sdk.leave_helper_early(client)
                elif kind == 3:
                    with pytest.raises(sdk.server_error):
                        await create(**sdk.ask("status-500"))
                else:
                    async for _ in await create(**sdk.ask(stream=True)):
                        break

        async with sdk.async_client(provider, max_retries=0, timeout=250) as client:
            await asyncio.gather(*(call(number, client) for number in range(self.mixed_calls)))
            await collect_garbage()

        assert loop_errors == []
        assert len(tracing.events) == self.mixed_calls
        assert len({event["event_id"] for event in tracing.events}) == self.mixed_calls
        errors = [event for event in tracing.events if event.get("error") is not None]
        assert len(errors) == self.mixed_calls // 5
        for _ in range(500):  # the loop closes dropped streams in tasks of its own
            if calls_alive() <= before:
                break
            await asyncio.sleep(0.01)
        assert calls_alive() <= before
