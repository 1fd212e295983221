"""groq: a third SDK of the same make, by a row in the table of routes."""

from __future__ import annotations

from typing import Any

import pytest
from support.instrumented import ModelTracer
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import serving

from sessiontrace.instrumentation.registry import Instruments

groq = pytest.importorskip("groq", reason="the contract group is not installed")

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]


@pytest.mark.asyncio
async def test_groq_sync_async_whole_and_streamed() -> None:
    """Its usage in a stream comes in a field of its own, and is read there."""
    tracer = ModelTracer()
    instruments = Instruments(tracer)
    instruments.add(("groq",), ())
    request: dict[str, Any] = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
    with serving(ROUTES) as provider:
        with groq.Groq(base_url=provider.url, api_key="k") as client:
            client.chat.completions.create(**request)
            list(client.chat.completions.create(**request, stream=True))
        async with groq.AsyncGroq(base_url=provider.url, api_key="k") as client:
            await client.chat.completions.create(**request)
            async for _ in await client.chat.completions.create(**request, stream=True):
                pass
    instruments.remove()

    assert [event["outputs"]["content"] for event in tracer.events] == [TEXT] * 4
    assert {event["config"]["provider"] for event in tracer.events} == {"groq"}
    assert tracer.events[0]["metadata"]["total_tokens"] == 19
