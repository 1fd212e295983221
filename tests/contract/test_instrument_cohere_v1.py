"""cohere's first API: chat, whole, streamed and async, embed in batches, rerank."""

from __future__ import annotations

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

RESPONSE = {
    "text": "Hello from the stub",
    "generation_id": "g1",
    "finish_reason": "COMPLETE",
    "citations": [{"start": 0, "end": 5, "text": "Hello", "document_ids": ["d1"]}],
    "meta": {"tokens": {"input_tokens": 12, "output_tokens": 7}},
}


def chat(body: dict[str, Any]) -> Any:
    """``/v1/chat``, whole or streamed as lines of JSON."""
    if not body.get("stream"):
        return RESPONSE
    events: list[dict[str, Any]] = [{"event_type": "stream-start", "generation_id": "g1"}]
    events += [
        {"event_type": "text-generation", "text": text} for text in ("Hello", " from the stub")
    ]
    events.append({"event_type": "stream-end", "finish_reason": "COMPLETE", "response": RESPONSE})
    return iter([json.dumps(event) + "\n" for event in events])


def embed(body: dict[str, Any]) -> dict[str, Any]:
    """``/v1/embed``: two numbers for each text."""
    vectors = [[0.1, 0.2] for _ in body["texts"]]
    meta = {"billed_units": {"input_tokens": len(vectors)}}
    return {
        "id": "e1",
        "response_type": "embeddings_floats",
        "embeddings": vectors,
        "texts": body["texts"],
        "meta": meta,
    }


def rerank(body: dict[str, Any]) -> dict[str, Any]:
    """``/v1/rerank``."""
    return {"id": "r1", "results": [{"index": 1, "relevance_score": 0.9}]}


ROUTES = {"/v1/chat": chat, "/v1/embed": embed, "/v1/rerank": rerank}


@pytest.mark.asyncio
async def test_the_first_api_of_cohere() -> None:
    """One event a call, whatever number of requests it takes; the same answer in each form."""
    cohere = pytest.importorskip("cohere", reason="the contract group is not installed")
    httpx = pytest.importorskip("httpx", reason="the contract group is not installed")
    history = [{"role": "CHATBOT", "message": "Hi"}]
    question = {"message": "Hello?", "model": "ok", "preamble": "Be kind", "chat_history": history}
    with serving(ROUTES) as provider, instrumented("cohere", waiting=True) as tracing:
        how = {"api_key": "k", "base_url": provider.url}
        with httpx.Client() as http, tracing.session():
            client = cohere.Client(**how, httpx_client=http)
            client.chat(**question)
            list(client.chat_stream(**question))
            stream = client.chat_stream(**question)
            next(stream)
            next(stream)
            stream.close()
            client.embed(texts=["a"] * 100, model="ok", input_type="search_query")
            client.rerank(query="q", documents=["a", "b"], model="ok")
            async with httpx.AsyncClient() as later_http:
                later = cohere.AsyncClient(**how, httpx_client=later_http)
                await later.chat(**question)
                async for _ in later.chat_stream(**question):
                    pass
                await later.embed(texts=["a"] * 100, model="ok", input_type="search_query")

    whole, streamed, broken, vectors, ranks, later_whole, later_streamed, later_vectors = (
        tracing.events
    )
    for event in (whole, streamed, later_whole, later_streamed):
        assert event["event_name"] == "chat ok"
        assert event["inputs"]["chat_history"] == [
            {"role": "system", "content": "Be kind"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "Hello?"},
        ]
        assert event["outputs"]["content"] == "Hello from the stub"
        assert event["outputs"]["citations"][0]["text"] == "Hello"
        assert event["metadata"]["total_tokens"] == 19
        assert event["metadata"]["response_id"] == "g1"
    assert broken["outputs"]["content"] == "Hello"
    assert broken["metadata"]["stream_end"] == "closed"
    for event in (vectors, later_vectors):
        assert event["outputs"] == {"embeddings": 100, "dimensions": 2}
        assert event["metadata"]["prompt_tokens"] == 100
    assert ranks["outputs"]["results"] == [{"index": 1, "relevance_score": 0.9}]
