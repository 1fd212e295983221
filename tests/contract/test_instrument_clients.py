"""Other providers' clients: each gives the same kind of model event, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.stubs import openai_api, other_apis
from support.stubs.other_apis import TEXT
from support.stubs.provider import Provider, serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

ASKED = [{"role": "user", "content": "Hello?"}]


@contextmanager
def traced(name: str) -> Iterator[tuple[ModelTracer, Provider]]:
    """The library ``name`` instrumented, and a provider for it."""
    with instrumented(name, waiting=True) as tracer:
        with serving({**openai_api.ROUTES, **other_apis.ROUTES}) as provider, tracer.session():
            yield tracer, provider


def same(events: list[dict[str, Any]], count: int, provider: str, model: str = "ok") -> None:
    """As many events, all alike in what was asked, answered and used."""
    assert len(events) == count
    for event in events:
        assert event["event_type"] == "model"
        assert event["event_name"] == f"chat {model}"
        assert event["config"]["provider"] == provider
        assert event["inputs"]["chat_history"][-1]["content"] == "Hello?"
        assert event["outputs"]["content"] == TEXT
        assert event["metadata"]["prompt_tokens"] == 12
        assert event["metadata"]["total_tokens"] == 19
        assert event["metadata"]["finish_reason"]


@pytest.mark.asyncio
async def test_google_genai() -> None:
    """Whole, streamed, async, and embeddings."""
    genai = pytest.importorskip("google.genai", reason="the contract group is not installed")
    with traced("google-genai") as (tracing, provider):
        client = genai.Client(api_key="k", http_options={"base_url": provider.url})
        models = client.models
        models.generate_content(
            model="ok", contents="Hello?", config={"system_instruction": "Be kind"}
        )
        assert len(list(models.generate_content_stream(model="ok", contents="Hello?"))) == 4
        await client.aio.models.generate_content(model="ok", contents="Hello?")
        stream = await client.aio.models.generate_content_stream(model="ok", contents="Hello?")
        assert len([chunk async for chunk in stream]) == 4
        events = list(tracing.events)
        models.embed_content(model="ok", contents="Hello?")
        await client.aio.aclose()
        client.close()

    same(events, 4, "gcp.gemini")
    assert events[0]["inputs"]["chat_history"][0] == {"role": "system", "content": "Be kind"}
    assert events[1]["metrics"]["chunks"] == 4
    assert tracing.events[-1]["outputs"] == {"embeddings": 1, "dimensions": 3}


@pytest.mark.asyncio
async def test_mistral() -> None:
    """Whole and streamed, sync and async; the event stream stays the SDK's."""
    pytest.importorskip("mistralai.client", reason="the contract group is not installed")
    from mistralai.client import Mistral

    with traced("mistralai") as (tracing, provider):
        with Mistral(api_key="k", server_url=provider.url) as client:
            client.chat.complete(model="ok", messages=ASKED)
            stream = client.chat.stream(model="ok", messages=ASKED)
            assert type(stream).__name__ == "EventStream"
            with stream:
                assert sum(1 for _ in stream) == 6
        async with Mistral(api_key="k", server_url=provider.url) as client:
            await client.chat.complete_async(model="ok", messages=ASKED)
            async with await client.chat.stream_async(model="ok", messages=ASKED) as later:
                async for _ in later:
                    break

    whole, streamed, whole_async, broken = tracing.events
    same([whole, whole_async], 2, "mistral_ai")
    assert streamed["outputs"]["content"] == TEXT
    assert streamed["metadata"]["finish_reason"] == "stop"
    assert broken["metadata"]["stream_end"] == "closed"


@pytest.mark.asyncio
async def test_cohere() -> None:
    """Whole and streamed, sync and async, and a stream broken off."""
    cohere = pytest.importorskip("cohere", reason="the contract group is not installed")
    import httpx

    with traced("cohere") as (tracing, provider):
        http, http_later = httpx.Client(), httpx.AsyncClient()
        client = cohere.ClientV2(api_key="k", base_url=provider.url, httpx_client=http)
        client.chat(model="ok", messages=ASKED)
        for _ in client.chat_stream(model="ok", messages=ASKED):
            pass
        later = cohere.AsyncClientV2(api_key="k", base_url=provider.url, httpx_client=http_later)
        await later.chat(model="ok", messages=ASKED)
        async for _ in later.chat_stream(model="ok", messages=ASKED):
            pass
        events = list(tracing.events)
        stream = client.chat_stream(model="ok", messages=ASKED)
        next(stream)
        stream.close()
        http.close()
        await http_later.aclose()

    same(events, 4, "cohere")
    assert tracing.events[-1]["metadata"]["stream_end"] == "closed"


@pytest.mark.asyncio
async def test_ollama() -> None:
    """Whole and streamed, sync and async, and streams that are broken off or never read."""
    ollama = pytest.importorskip("ollama", reason="the contract group is not installed")
    with traced("ollama") as (tracing, provider):
        client = ollama.Client(host=provider.url)
        client.chat(model="ok", messages=ASKED)
        stream = client.chat(model="ok", messages=ASKED, stream=True)
        assert type(stream).__name__ == "generator"
        assert sum(1 for _ in stream) == 5
        later = ollama.AsyncClient(host=provider.url)
        await later.chat(model="ok", messages=ASKED)
        async for _ in await later.chat(model="ok", messages=ASKED, stream=True):
            pass
        events = list(tracing.events)
        broken = client.chat(model="ok", messages=ASKED, stream=True)
        next(broken)
        broken.close()
        client.chat(model="ok", messages=ASKED, stream=True)
        if hasattr(client, "close"):  # not in the oldest version
            client.close()
            await later.close()

    same(events, 4, "ollama")
    ends = [event["metadata"]["stream_end"] for event in tracing.events[4:]]
    assert ends == ["closed", "dropped"]


def test_bedrock() -> None:
    """Converse and InvokeModel, whole and streamed; other services go by unseen."""
    boto3 = pytest.importorskip("boto3", reason="the contract group is not installed")
    messages = [{"role": "user", "content": [{"text": "Hello?"}]}]
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    with traced("bedrock") as (tracing, provider):
        client = boto3.client("bedrock-runtime", endpoint_url=provider.url, **keys)
        client.converse(modelId="ok", messages=messages, inferenceConfig={"maxTokens": 9})
        stream = client.converse_stream(modelId="ok", messages=messages)["stream"]
        assert type(stream).__name__ == "EventStream"
        assert sum(1 for _ in stream) == 8
        events = list(tracing.events)
        body = '{"max_tokens": 9, "messages": [{"role": "user", "content": "Hello?"}]}'
        answer = client.invoke_model(modelId="ok", body=body)
        assert TEXT.encode() in answer["body"].read()
        client.close()

    same(events, 2, "aws.bedrock")
    assert events[0]["config"]["hyperparameters"] == {"max_tokens": 9}
    assert events[0]["metadata"]["http_status"] == 200
    invoked = tracing.events[-1]
    assert invoked["outputs"]["content"] == TEXT
    assert invoked["metadata"]["total_tokens"] == 19


@pytest.mark.asyncio
async def test_litellm() -> None:
    """Whole and streamed, sync and async; with the openai SDK instrumented too, one event each."""
    litellm = pytest.importorskip("litellm", reason="the contract group is not installed")
    import openai

    with instrumented("litellm", "openai") as tracer:
        with serving(openai_api.ROUTES) as provider, tracer.session():
            how: dict[str, Any] = {
                "model": "openai/ok",
                "messages": ASKED,
                "api_base": f"{provider.url}/v1",
                "api_key": "k",
            }
            keys = {"base_url": f"{provider.url}/v1", "api_key": "k"}
            client, later = openai.OpenAI(**keys), openai.AsyncOpenAI(**keys)
            litellm.completion(**how, client=client)
            for _ in litellm.completion(**how, client=client, stream=True):
                pass
            await litellm.acompletion(**how, client=later)
            async for _ in await litellm.acompletion(**how, client=later, stream=True):
                pass
            with pytest.raises(Exception, match="no luck"):
                litellm.completion(**{**how, "model": "openai/status-400"}, client=client)
            client.close()
            await later.close()

    *good, failed = tracer.events
    assert [event["event_name"] for event in good] == ["chat openai/ok"] * 4
    assert [event["outputs"]["content"] for event in good] == [TEXT] * 4
    assert good[0]["metadata"]["total_tokens"] == 19
    assert {event["config"]["provider"] for event in good} == {"openai"}
    assert "no luck" in failed["error"]
