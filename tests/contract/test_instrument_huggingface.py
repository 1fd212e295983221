"""huggingface_hub's InferenceClient: chat, text, vectors, sound, sync, async and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import instrumented
from support.stubs import openai_api
from support.stubs.openai_api import TEXT
from support.stubs.provider import serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

MESSAGES = [{"role": "user", "content": "Hello?"}]


def generate(body: dict[str, Any]) -> Any:
    """Text generation, as text-generation-inference answers."""
    if not body.get("stream"):
        details = {"finish_reason": "length", "generated_tokens": 7, "prefill": [], "tokens": []}
        return {"generated_text": TEXT, "details": details}
    return generated_pieces()


def generated_pieces() -> Iterator[str]:
    """The same as ``generate``, streamed."""
    for number, word in enumerate(TEXT.split(" ")):
        text = word if number == 0 else f" {word}"
        token = {"id": number, "logprob": 0.0, "special": False, "text": text}
        chunk: dict[str, Any] = {"index": number, "token": token}
        if number == 3:
            details = {"finish_reason": "length", "generated_tokens": 7, "input_length": 12}
            chunk |= {"generated_text": TEXT, "details": details}
        yield f"data: {json.dumps(chunk)}\n\n"


ROUTES = {**openai_api.ROUTES, "/generate": generate}


@pytest.mark.asyncio
@pytest.mark.parametrize("is_async", [False, True])
async def test_chat(is_async: bool) -> None:
    """Whole, streamed, broken off, by the name that openai's client has, and refused."""
    hub = pytest.importorskip("huggingface_hub", reason="the contract group is not installed")
    with serving(ROUTES) as provider, instrumented("huggingface-hub", waiting=True) as tracing:
        how = {"base_url": f"{provider.url}/v1", "api_key": "k"}
        request: dict[str, Any] = {"model": "ok", "messages": MESSAGES, "max_tokens": 9}
        stream = {**request, "stream": True, "stream_options": {"include_usage": True}}
        bad = {**request, "model": "status-400"}
        with tracing.session():
            if is_async:
                client = hub.AsyncInferenceClient(**how)
                await client.chat_completion(**request)
                async for _ in await client.chat.completions.create(**stream):
                    pass
                chunks = await client.chat_completion(**stream)
                await chunks.__anext__()
                await chunks.__anext__()
                await chunks.aclose()
                with pytest.raises(hub.errors.HfHubHTTPError):
                    await client.chat_completion(**bad)
                await client.close()
            else:
                client = hub.InferenceClient(**how)
                client.chat_completion(MESSAGES, model="ok", max_tokens=9)
                list(client.chat.completions.create(**stream))
                chunks = client.chat_completion(**stream)
                next(chunks)
                next(chunks)
                chunks.close()
                with pytest.raises(hub.errors.HfHubHTTPError):
                    client.chat_completion(**bad)
                client.close()

    whole, streamed, broken, failed = tracing.events
    for event in (whole, streamed):
        assert event["event_name"] == "chat ok"
        assert event["config"]["provider"] == "huggingface"
        assert event["config"]["hyperparameters"]["max_tokens"] == 9
        assert event["inputs"] == {"chat_history": MESSAGES}
        assert event["outputs"]["content"] == TEXT
        assert event["metadata"]["total_tokens"] == 19
    assert broken["outputs"]["content"] == "Hello"
    assert broken["metadata"]["stream_end"] == "closed"
    assert "no luck" in failed["error"]
    assert failed["metadata"]["http_status"] == 400


def test_text_generation() -> None:
    """With and without details, whole and streamed: the same text."""
    hub = pytest.importorskip("huggingface_hub", reason="the contract group is not installed")
    with serving(ROUTES) as provider, instrumented("huggingface-hub", waiting=True) as tracing:
        client = hub.InferenceClient(model=f"{provider.url}/generate", api_key="k")
        with tracing.session():
            assert client.text_generation("Hello?", max_new_tokens=7) == TEXT
            client.text_generation("Hello?", details=True)
            assert "".join(client.text_generation("Hello?", stream=True)) == TEXT
            list(client.text_generation(prompt="Hello?", stream=True, details=True))
        client.close()

    for event in tracing.events:
        assert event["event_name"].startswith("text_completion ")
        assert event["inputs"] == {"prompt": "Hello?"}
        assert event["outputs"]["content"] == TEXT
    assert tracing.events[0]["config"]["hyperparameters"]["max_new_tokens"] == 7
    assert tracing.events[1]["metadata"]["completion_tokens"] == 7
    assert tracing.events[3]["metadata"]["total_tokens"] == 19
    assert len(tracing.events) == 4


def test_vectors_and_texts_about_texts() -> None:
    """Vectors are counted; the results of the other tasks are kept."""
    hub = pytest.importorskip("huggingface_hub", reason="the contract group is not installed")
    pytest.importorskip("numpy", reason="the contract group is not installed")
    answers = iter(['[{"summary_text": "Short"}]', "[[0.1, 0.2]]"])

    def answer(body: dict[str, Any]) -> Any:
        return iter([next(answers)])

    with serving({"/generate": answer}) as provider:
        with instrumented("huggingface-hub", waiting=True) as tracing:
            client = hub.InferenceClient(model=f"{provider.url}/generate", api_key="k")
            with tracing.session():
                assert client.summarization("Long").summary_text == "Short"
                client.feature_extraction("Long")
            client.close()

    summary, vectors = tracing.events
    assert summary["inputs"] == vectors["inputs"] == {"text": "Long"}
    assert summary["outputs"]["summary_text"] == "Short"
    assert vectors["outputs"] == {"embeddings": 1, "dimensions": 2}
