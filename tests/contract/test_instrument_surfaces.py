"""Beyond chat: images, sound, moderation, embeddings and ranks; and the counts of each cloud."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from support.instrumented import instrumented
from support.stubs.provider import serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

ANSWERS: dict[str, Any] = {
    "/v1/images/generations": {
        "created": 1,
        "data": [{"url": "https://i/1.png", "revised_prompt": "A blue cat"}],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    },
    "/v1/audio/transcriptions": {
        "text": "Hello",
        "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 1, "total_tokens": 6},
    },
    "/v1/audio/translations": {"text": "Hello"},
    "/v1/moderations": {
        "id": "m1",
        "model": "omni",
        "results": [{"flagged": True, "categories": {}, "category_scores": {}}],
    },
}


def test_openai_images_sound_and_moderation() -> None:
    """Each call is one event; sound is recorded by digest and size."""
    openai = pytest.importorskip("openai", reason="the contract group is not installed")
    httpx = pytest.importorskip("httpx", reason="the contract group is not installed")

    def answer(request: Any) -> Any:
        if request.url.path == "/v1/audio/speech":
            return httpx.Response(200, content=b"RIFF", headers={"content-type": "audio/wav"})
        return httpx.Response(200, json=ANSWERS[request.url.path])

    with instrumented("openai") as tracing:
        transport = httpx.Client(transport=httpx.MockTransport(answer))
        client = openai.OpenAI(api_key="k", http_client=transport)
        with tracing.session():
            client.images.generate(model="gpt-image", prompt="A cat")
            client.audio.speech.create(model="tts", voice="v", input="Hello")
            client.audio.transcriptions.create(model="stt", file=("a.wav", b"RIFF"))
            client.audio.translations.create(model="stt", file=("a.wav", b"RIFF"))
            client.moderations.create(model="omni", input="bad")
        client.close()

    events = {event["event_name"]: event for event in tracing.events}
    assert sorted(events) == [
        "images gpt-image",
        "moderation omni",
        "speech tts",
        "transcription stt",
        "translation stt",
    ]
    image = events["images gpt-image"]
    assert image["inputs"] == {"prompt": "A cat"}
    assert image["outputs"]["images"][0]["revised_prompt"] == "A blue cat"
    assert image["metadata"]["total_tokens"] == 7
    assert events["speech tts"]["outputs"]["audio"] == {
        "media_type": "audio/wav",
        "bytes": 4,
        "sha256": hashlib.sha256(b"RIFF").hexdigest(),
    }
    assert events["transcription stt"]["outputs"]["text"] == "Hello"
    assert events["transcription stt"]["metadata"]["total_tokens"] == 6
    assert events["moderation omni"]["outputs"]["flagged"] is True


def test_cohere_embed_and_rerank() -> None:
    """Vectors are counted, ranks are kept, and what is billed is recorded."""
    cohere = pytest.importorskip("cohere", reason="the contract group is not installed")
    httpx = pytest.importorskip("httpx", reason="the contract group is not installed")
    routes = {
        "/v2/embed": lambda body: {
            "id": "e1",
            "embeddings": {"float": [[0.1, 0.2]]},
            "texts": ["a"],
            "meta": {"billed_units": {"input_tokens": 2.0}},
            "response_type": "embeddings_by_type",
        },
        "/v2/rerank": lambda body: {
            "id": "r1",
            "results": [{"index": 1, "relevance_score": 0.9}],
            "meta": {"billed_units": {"search_units": 1.0}},
        },
    }
    with serving(routes) as provider, instrumented("cohere", waiting=True) as tracing:
        with httpx.Client() as http:
            client = cohere.ClientV2(api_key="k", base_url=provider.url, httpx_client=http)
            with tracing.session():
                client.embed(model="ok", texts=["a"], input_type="search_query")
                client.rerank(model="ok", query="q", documents=["a", "b"])

    embed, rerank = tracing.events
    assert embed["outputs"] == {"embeddings": 1, "dimensions": 2}
    assert embed["metadata"]["prompt_tokens"] == 2
    assert rerank["event_name"] == "rerank ok"
    assert rerank["outputs"]["results"] == [{"index": 1, "relevance_score": 0.9}]


def gemini(body: dict[str, Any]) -> dict[str, Any]:
    candidates = [
        {"index": index, "content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
        for index, text in enumerate(("a", "b"))
    ]
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 2,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 6,
        "totalTokenCount": 22,
    }
    candidates[0]["groundingMetadata"] = {"webSearchQueries": ["q"]}
    return {"candidates": candidates, "usageMetadata": usage, "modelVersion": "g"}


def test_gemini_counts_thoughts_and_keeps_candidates() -> None:
    """Prompt and completion add up to the total; the second candidate is a choice."""
    genai = pytest.importorskip("google.genai", reason="the contract group is not installed")
    routes = {"/v1beta/models/ok:generateContent": gemini, "/v1/models/ok:generateContent": gemini}
    with serving(routes) as provider, instrumented("google-genai") as tracing:
        client = genai.Client(api_key="k", http_options={"base_url": provider.url})
        with tracing.session():
            client.models.generate_content(model="ok", contents="Hello?")
        client.close()

    metadata = tracing.model["metadata"]
    assert metadata["prompt_tokens"] + metadata["completion_tokens"] == metadata["total_tokens"]
    assert metadata["reasoning_tokens"] == 6
    choices = tracing.model["outputs"]["choices"]
    assert [choice["content"] for choice in choices] == ["a", "b"]
    assert choices[0]["groundingMetadata"] == {"webSearchQueries": ["q"]}


def converse(body: dict[str, Any]) -> dict[str, Any]:
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"text": "Hi"},
    ]
    usage = {
        "inputTokens": 1,
        "outputTokens": 2,
        "totalTokens": 10,
        "cacheReadInputTokens": 3,
        "cacheWriteInputTokens": 4,
    }
    return {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": "end_turn",
        "usage": usage,
    }


def test_bedrock_counts_the_cache() -> None:
    """The prompt includes what was read from the cache and written to it; reasoning is apart."""
    boto3 = pytest.importorskip("boto3", reason="the contract group is not installed")
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    routes = {"/model/ok/converse": converse}
    with serving(routes) as provider, instrumented("bedrock") as tracing:
        client = boto3.client("bedrock-runtime", endpoint_url=provider.url, **keys)
        messages = [{"role": "user", "content": [{"text": "Hello?"}]}]
        with tracing.session():
            client.converse(modelId="ok", messages=messages)
        client.close()

    metadata = tracing.model["metadata"]
    assert (metadata["prompt_tokens"], metadata["total_tokens"]) == (8, 10)
    assert json.dumps(tracing.model["outputs"]["content"]) == '"Hi"'
    assert tracing.model["outputs"]["reasoning"] == "hm"


def test_structured_output_that_does_not_parse_keeps_the_answer() -> None:
    """The reply was paid for: its text and tokens are recorded beside the parser's error."""
    openai = pytest.importorskip("openai", reason="the contract group is not installed")
    httpx = pytest.importorskip("httpx", reason="the contract group is not installed")
    pydantic = pytest.importorskip("pydantic", reason="the contract group is not installed")
    city = pydantic.create_model("City", name=(str, ...))
    message = {"role": "assistant", "content": '{"name": '}
    reply = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }

    with instrumented("openai") as tracing:
        transport = httpx.MockTransport(lambda request: httpx.Response(200, json=reply))
        client = openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport))
        with tracing.session(), pytest.raises(pydantic.ValidationError):
            client.chat.completions.parse(
                model="m", messages=[{"role": "user", "content": "q"}], response_format=city
            )
        client.close()

    assert tracing.model["error"]
    assert tracing.model["outputs"]["content"] == '{"name": '
    assert tracing.model["metadata"]["total_tokens"] == 3


def test_gemini_makes_images() -> None:
    """Each image is in the outputs; the prompt is an input."""
    genai = pytest.importorskip("google.genai", reason="the contract group is not installed")
    image = {"mimeType": "image/png", "bytesBase64Encoded": "iVBORw0KGgo="}

    def predict(body: dict[str, Any]) -> dict[str, Any]:
        return {"predictions": [image]}

    routes = {"/v1beta1/publishers/google/models/ok:predict": predict}
    with serving(routes) as provider, instrumented("google-genai", waiting=True) as tracing:
        options = {"base_url": provider.url, "api_version": "v1beta1"}
        client = genai.Client(vertexai=True, api_key="k", http_options=options)
        with tracing.session():
            client.models.generate_images(
                model="ok", prompt="A cat", config={"number_of_images": 1}
            )
        client.close()

    assert tracing.model["event_name"] == "images ok"
    assert tracing.model["inputs"] == {"prompt": "A cat"}
    assert tracing.model["outputs"]["images"][0]["mimeType"] == "image/png"
    assert tracing.model["config"]["hyperparameters"]["sampleCount"] == 1
    assert tracing.model["config"]["provider"] == "gcp.vertex_ai"


@pytest.mark.asyncio
async def test_cohere_and_ollama_async_and_streamed() -> None:
    """Vectors and ranks of the async clients; texts that ollama generates, whole and streamed."""
    cohere = pytest.importorskip("cohere", reason="the contract group is not installed")
    ollama = pytest.importorskip("ollama", reason="the contract group is not installed")
    httpx = pytest.importorskip("httpx", reason="the contract group is not installed")

    def generate(body: dict[str, Any]) -> Any:
        end = {"model": "ok", "done": True, "done_reason": "stop"}
        end |= {"prompt_eval_count": 12, "eval_count": 7}
        if not body.get("stream"):
            return {**end, "response": "Hello"}
        pieces = [{"model": "ok", "response": "Hel", "done": False}, {**end, "response": "lo"}]
        return iter([json.dumps(piece) + "\n" for piece in pieces])

    routes = {
        "/v2/embed": lambda body: {"id": "e1", "embeddings": {"float": [[0.1, 0.2]]}},
        "/v2/rerank": lambda body: {
            "id": "r1",
            "results": [{"index": 1, "relevance_score": 0.9}],
        },
        "/api/generate": generate,
        "/api/embed": lambda body: (
            {"model": "ok", "embeddings": [[0.1, 0.2]]} | {"prompt_eval_count": 2}
        ),
    }
    with serving(routes) as provider, instrumented("cohere", "ollama", waiting=True) as tracing:
        with tracing.session():
            async with httpx.AsyncClient() as http:
                later = cohere.AsyncClientV2(api_key="k", base_url=provider.url, httpx_client=http)
                await later.embed(model="ok", texts=["a"], input_type="search_query")
                await later.rerank(model="ok", query="q", documents=["a", "b"])
            client = ollama.AsyncClient(host=provider.url)
            await client.generate(model="ok", prompt="q")
            async for _ in await client.generate(model="ok", prompt="q", stream=True):
                pass
            await client.embed(model="ok", input="a")
            if hasattr(client, "close"):  # not in the oldest version
                await client.close()

    embed, rerank, whole, streamed, vectors = tracing.events
    assert embed["outputs"] == vectors["outputs"] == {"embeddings": 1, "dimensions": 2}
    assert rerank["outputs"]["results"] == [{"index": 1, "relevance_score": 0.9}]
    for event in (whole, streamed):
        assert event["inputs"] == {"prompt": "q"}
        assert event["outputs"]["content"] == "Hello"
        assert event["metadata"]["total_tokens"] == 19
    assert vectors["metadata"]["prompt_tokens"] == 2
