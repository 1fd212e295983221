"""SDKs of the same make as openai's, each a table of paths: whole and streamed, sync and async.

Those that cannot be installed beside the others have an environment of their own, which
``tests/instrument_versions.sh`` makes.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from importlib.metadata import version
from typing import Any, NamedTuple

import pytest
from support.instrumented import instrumented
from support.mocked_sdk import client_of
from support.own_environment import import_or_skip
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

MESSAGES = [{"role": "user", "content": "Hello?"}]


class Sdk(NamedTuple):
    """One SDK: its module, its two clients, and where its paths begin."""

    name: str
    module: str
    clients: tuple[str, str]
    prefix: str = ""


SDKS = [
    Sdk("groq", "groq", ("Groq", "AsyncGroq")),
    Sdk("cerebras", "cerebras.cloud.sdk", ("Cerebras", "AsyncCerebras")),
    Sdk("fireworks", "fireworks", ("Fireworks", "AsyncFireworks")),
    Sdk("together", "together", ("Together", "AsyncTogether")),
]


def arguments(sdk: Sdk, url: str) -> dict[str, Any]:
    """How to make a client of ``sdk`` for the stub at ``url``."""
    options: dict[str, Any] = {"base_url": url, "api_key": "k"}
    if sdk.name == "together" and int(version("together").partition(".")[0]) < 3:
        options["base_url"] = f"{url}/v1"
    if sdk.name == "cerebras":
        options["warm_tcp_connection"] = False
    return options


@pytest.mark.asyncio
@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: str(sdk.name))
async def test_chat_sync_async_whole_and_streamed(sdk: Sdk) -> None:
    """Four calls, four events: the same answer, the provider's own name."""
    module = import_or_skip(sdk.module)
    request: dict[str, Any] = {"model": "ok", "messages": MESSAGES}
    with serving(ROUTES) as provider, instrumented(sdk.name, waiting=True) as tracing:
        options = arguments(sdk, provider.url)
        with tracing.session(), getattr(module, sdk.clients[0])(**options) as client:
            client.chat.completions.create(**request)
            list(client.chat.completions.create(**request, stream=True))
        async with getattr(module, sdk.clients[1])(**options) as client:
            await client.chat.completions.create(**request)
            async for _ in await client.chat.completions.create(**request, stream=True):
                pass

    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT] * 4
    assert {event["config"]["provider"] for event in tracing.events} == {sdk.name}
    assert tracing.events[0]["metadata"]["total_tokens"] == 19
    assert tracing.events[1]["metadata"]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "sdk", [sdk for sdk in SDKS if sdk.name != "groq"], ids=lambda sdk: str(sdk.name)
)
def test_text_completions(sdk: Sdk) -> None:
    """The prompt is an input, and the text is the content; streamed too."""
    module = import_or_skip(sdk.module)
    with serving(ROUTES) as provider, instrumented(sdk.name, waiting=True) as tracing:
        with getattr(module, sdk.clients[0])(**arguments(sdk, provider.url)) as client:
            client.completions.create(model="ok", prompt="Hello?")
            list(client.completions.create(model="ok", prompt="Hello?", stream=True))

    for event in tracing.events:
        assert event["event_name"] == "text_completion ok"
        assert event["inputs"] == {"prompt": "Hello?"}
        assert event["outputs"]["content"] == TEXT
    assert len(tracing.events) == 2


def test_fireworks_on_its_own_host() -> None:
    """Without a base URL of the user's the SDK posts to absolute URLs."""
    fireworks = import_or_skip("fireworks")
    base = importlib.import_module("fireworks._base_client")
    seen: list[str] = []

    class StopError(Exception):
        pass

    with instrumented("fireworks") as tracing, fireworks.Fireworks(api_key="k") as client:

        def refuse(*args: Any, **kwargs: Any) -> Any:
            seen.append(str(args[0].url))
            raise StopError

        client._client.send = refuse
        with pytest.raises((StopError, base.APIConnectionError)):
            client.with_options(max_retries=0).chat.completions.create(
                model="ok", messages=MESSAGES
            )

    assert seen == ["https://api.fireworks.ai/inference/v1/chat/completions"]
    assert tracing.model["event_name"] == "chat ok"


def test_groq_sound() -> None:
    """Speech by digest, and the file of a transcription by digest."""
    groq = import_or_skip("groq")
    httpx = import_or_skip("httpx")

    def answer(request: Any) -> Any:
        if request.url.path.endswith("/speech"):
            return httpx.Response(200, content=b"RIFF", headers={"content-type": "audio/wav"})
        return httpx.Response(200, json={"text": "Hello"})

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    with instrumented("groq") as tracing, groq.Groq(api_key="k", http_client=transport) as client:
        spoken = client.audio.speech.create(model="tts", voice="v", input="Hello")
        assert spoken.read() == b"RIFF"
        client.audio.transcriptions.create(model="stt", file=("a.wav", b"RIFF"))

    speech, transcription = tracing.events
    digest = {"bytes": 4, "sha256": hashlib.sha256(b"RIFF").hexdigest()}
    assert speech["outputs"]["audio"] == {"media_type": "audio/wav", **digest}
    assert transcription["outputs"]["text"] == "Hello"
    file = {"field": "file", "name": "a.wav", "media_type": "application/octet-stream"}
    assert transcription["inputs"]["files"] == [{**file, **digest}]


def test_together_embeddings_ranks_images_and_streamed_speech() -> None:
    """Everything beyond text: each call is one event, in the shape that all providers share."""
    together = import_or_skip("together")
    sound = 'data: {"object": "audio.tts.chunk", "model": "m", "b64": "UklGRg=="}\n\n'
    routes = {
        **ROUTES,
        "/v1/rerank": lambda body: {
            "object": "rerank",
            "id": "r1",
            "model": "ok-2026",
            "results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
        },
        "/v1/images/generations": lambda body: {
            "id": "i1",
            "model": "ok",
            "object": "list",
            "data": [{"index": 0, "url": "https://i/1.png", "type": "url"}],
        },
        "/v1/audio/speech": lambda body: iter([sound, sound, "data: [DONE]\n\n"]),
    }
    with serving(routes) as provider, instrumented("together") as tracing:
        with together.Together(**arguments(SDKS[-1], provider.url)) as client:
            client.embeddings.create(model="ok", input="a")
            client.rerank.create(model="ok", query="q", documents=["a", "b"])
            client.images.generate(model="ok", prompt="A cat")
            list(client.audio.speech.create(model="ok", voice="v", input="Hi", stream=True))

    embedding, rank, image, speech = tracing.events
    assert embedding["outputs"] == {"embeddings": 1, "dimensions": 3}
    assert rank["inputs"] == {"query": "q", "documents": ["a", "b"]}
    assert rank["outputs"]["results"] == [{"index": 1, "relevance_score": 0.9}]
    assert rank["metadata"]["total_tokens"] == 3
    assert image["outputs"]["images"][0]["url"] == "https://i/1.png"
    assert speech["outputs"]["audio"]["bytes"] == 8


def test_groq_results_of_a_batch() -> None:
    """The same file of results as OpenAI's: an event for each answer."""
    answer = {"object": "chat.completion", "id": "c", "model": "m", "choices": []}
    line = {"custom_id": "a", "response": {"status_code": 200, "body": answer}, "error": None}
    client = client_of("Groq", "groq", lambda request: {"content": json.dumps(line).encode()})
    with instrumented("groq") as tracing, tracing.session():
        assert b"custom_id" in client.files.content("file_of_groq").read()
    client.close()

    assert tracing.model["metadata"]["custom_id"] == "a"
    assert tracing.model["config"]["provider"] == "groq"
