"""Models rented from clouds: the SDKs of OpenAI, Anthropic and Google at another provider's door.

The clouds themselves cannot be reached from a test; their addresses, bodies and framings are
stubbed, and the SDKs' own rewriting of requests runs for real.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.stubs import anthropic_api, openai_api, other_apis
from support.stubs.provider import Provider, serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

ASKED: list[Any] = [{"role": "user", "content": "Hello?"}]
VERTEX = "/v1/projects/p/locations/eu/publishers"


def on_vertex(body: dict[str, Any]) -> Any:
    """Anthropic's answers at Google's address: the model is in the path."""
    assert body.pop("anthropic_version")
    return anthropic_api.messages({**body, "model": "ok"})


def on_bedrock(body: dict[str, Any]) -> Any:
    """Anthropic's answers at Amazon's address."""
    assert body.pop("anthropic_version")
    return anthropic_api.messages({**body, "model": "ok"})


def on_bedrock_streamed(body: dict[str, Any]) -> Iterator[bytes]:
    """The same events, each in Amazon's binary framing."""
    for event in anthropic_api.messages({**body, "model": "ok", "stream": True}):
        data = event.split("data: ", 1)[1].strip()
        yield other_apis.aws_frame("chunk", {"bytes": base64.b64encode(data.encode()).decode()})


ROUTES = {
    "/openai/deployments/ok/chat/completions": openai_api.ROUTES["/v1/chat/completions"],
    f"{VERTEX}/anthropic/models/ok:rawPredict": on_vertex,
    f"{VERTEX}/anthropic/models/ok:streamRawPredict": on_vertex,
    f"{VERTEX}/google/models/ok:generateContent": other_apis.gemini,
    f"{VERTEX}/google/models/ok:streamGenerateContent": other_apis.gemini_stream,
    "/model/ok/invoke": on_bedrock,
    "/model/ok/invoke-with-response-stream": on_bedrock_streamed,
}


@contextmanager
def traced(name: str) -> Iterator[tuple[ModelTracer, Provider]]:
    """The library ``name`` instrumented, and the clouds."""
    with instrumented(name) as tracer:
        with serving(ROUTES) as provider, tracer.session():
            yield tracer, provider


def same(events: list[dict[str, Any]], count: int, provider: str) -> None:
    """As many events, all of this provider, alike in what was asked, answered and used."""
    assert len(events) == count
    for event in events:
        assert event["event_name"] == "chat ok"
        assert event["config"]["provider"] == provider
        assert event["inputs"]["chat_history"][-1]["content"] == "Hello?"
        assert event["outputs"]["content"] == other_apis.TEXT
        assert event["metadata"]["total_tokens"] > 0


@pytest.mark.asyncio
async def test_openai_on_azure() -> None:
    """A deployment's address; sync and async, whole and streamed."""
    openai = pytest.importorskip("openai", reason="the contract group is not installed")
    with traced("openai") as (tracing, provider):
        where = {"azure_endpoint": provider.url, "api_key": "k", "api_version": "2026-01-01"}
        request = {"model": "ok", "messages": ASKED}
        usage = {"stream": True, "stream_options": {"include_usage": True}}
        with openai.AzureOpenAI(**where) as client:
            client.chat.completions.create(**request)
            for _ in client.chat.completions.create(**request, **usage):
                pass
        async with openai.AsyncAzureOpenAI(**where) as client:
            await client.chat.completions.create(**request)
            async for _ in await client.chat.completions.create(**request, **usage):
                pass

    same(tracing.events, 4, "azure.ai.openai")


@pytest.mark.asyncio
async def test_anthropic_on_vertex() -> None:
    """The model goes from the body into the path, after we have seen the request."""
    anthropic = pytest.importorskip("anthropic", reason="the contract group is not installed")
    pytest.importorskip("google.auth", reason="the contract group is not installed")
    with traced("anthropic") as (tracing, provider):
        where = {
            "base_url": f"{provider.url}/v1",
            "region": "eu",
            "project_id": "p",
            "access_token": "t",
        }
        request = {"model": "ok", "max_tokens": 9, "messages": ASKED}
        with anthropic.AnthropicVertex(**where) as client:
            client.messages.create(**request)
            with client.messages.stream(**request) as stream:
                assert "".join(stream.text_stream) == anthropic_api.TEXT
        async with anthropic.AsyncAnthropicVertex(**where) as client:
            await client.messages.create(**request)
            async for _ in await client.messages.create(**request, stream=True):
                pass

    same(tracing.events, 4, "gcp.vertex_ai")
    assert tracing.events[0]["metadata"]["cache_read_tokens"] == 5


@pytest.mark.asyncio
async def test_anthropic_on_bedrock() -> None:
    """Signed requests, and streams in a binary framing that the SDK decodes for itself."""
    anthropic = pytest.importorskip("anthropic", reason="the contract group is not installed")
    pytest.importorskip("botocore", reason="the contract group is not installed")
    with traced("anthropic") as (tracing, provider):
        where = {
            "base_url": provider.url,
            "aws_access_key": "k",
            "aws_secret_key": "s",
            "aws_region": "eu-west-1",
        }
        request = {"model": "ok", "max_tokens": 9, "messages": ASKED}
        with anthropic.AnthropicBedrock(**where) as client:
            client.messages.create(**request)
            for _ in client.messages.create(**request, stream=True):
                pass
        async with anthropic.AsyncAnthropicBedrock(**where) as client:
            await client.messages.create(**request)
            stream = await client.messages.create(**request, stream=True)
            async for _ in stream:
                break
            await stream.close()

    same(tracing.events[:3], 3, "aws.bedrock")
    assert tracing.events[3]["metadata"]["stream_end"] == "closed"


@pytest.mark.asyncio
async def test_gemini_on_vertex() -> None:
    """Google's own SDK in its other mode."""
    genai = pytest.importorskip("google.genai", reason="the contract group is not installed")
    from google.oauth2.credentials import Credentials

    with traced("google-genai") as (tracing, provider):
        client = genai.Client(
            vertexai=True,
            project="p",
            location="eu",
            credentials=Credentials("t"),
            http_options={"base_url": provider.url, "api_version": "v1"},
        )
        client.models.generate_content(model="ok", contents="Hello?")
        assert len(list(client.models.generate_content_stream(model="ok", contents="Hello?"))) == 4
        await client.aio.models.generate_content(model="ok", contents="Hello?")
        await client.aio.aclose()
        client.close()

    same(tracing.events, 3, "gcp.vertex_ai")
    assert tracing.events[1]["metrics"]["chunks"] == 4
