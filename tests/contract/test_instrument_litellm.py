"""litellm: every function that calls a model, its Router and its proxy; one event a call."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.own_environment import import_or_skip
from support.stubs import anthropic_api, openai_api
from support.stubs.openai_api import TEXT
from support.stubs.provider import Provider, serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

MESSAGES = [{"role": "user", "content": "Hello?"}]


def rerank(body: dict[str, Any]) -> dict[str, Any]:
    """Cohere's ranks."""
    meta = {"billed_units": {"search_units": 1}}
    return {"id": "r1", "results": [{"index": 1, "relevance_score": 0.9}], "meta": meta}


ROUTES = {
    **openai_api.ROUTES,
    **anthropic_api.ROUTES,
    "/v2/rerank": rerank,
    "/rerank": rerank,
    "/v1/rerank": rerank,
}


@contextmanager
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, ModelTracer, Provider]]:
    """litellm and openai instrumented, and a provider."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm", reason="the contract group is not installed")
    with instrumented("litellm", "openai") as tracer:
        with serving(ROUTES) as provider, tracer.session():
            yield litellm, tracer, provider


def options(provider: Provider, model: str = "openai/ok") -> dict[str, Any]:
    """How a call finds the stub."""
    return {"model": model, "api_base": f"{provider.url}/v1", "api_key": "k"}


@pytest.mark.asyncio
async def test_text_embeddings_responses_and_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync and async: one event a call, its tokens once, whatever SDK is below."""
    with traced(monkeypatch) as (litellm, tracing, provider):
        how = options(provider)
        litellm.text_completion(prompt="Hello?", **{**how, "model": "text-completion-openai/ok"})
        litellm.embedding(input=["a"], **how)
        await litellm.aembedding(input=["a"], **how)
        litellm.responses(input="Hello?", **how)
        await litellm.aresponses(input="Hello?", **how)
        for _ in litellm.responses(input="Hello?", stream=True, **how):
            pass
        async for _ in await litellm.aresponses(input="Hello?", stream=True, **how):
            pass
        ranks = {"query": "q", "documents": ["a", "b"], "api_base": provider.url, "api_key": "k"}
        litellm.rerank(model="cohere/ok", **ranks)
        await litellm.arerank(model="cohere/ok", **ranks)

    text, embedding, later_embedding, *responses, rank, later_rank = tracing.events
    assert text["event_name"] == "text_completion text-completion-openai/ok"
    assert text["outputs"]["content"] == TEXT
    for event in (embedding, later_embedding):
        assert event["outputs"] == {"embeddings": 1, "dimensions": 3}
        assert event["metadata"]["total_tokens"] == 4
    assert [event["outputs"]["content"] for event in responses] == [TEXT] * 4
    assert {event["metadata"]["total_tokens"] for event in responses} == {19}
    for event in (rank, later_rank):
        assert event["outputs"]["results"] == [{"index": 1, "relevance_score": 0.9}]
        assert event["inputs"] == {"query": "q", "documents": ["a", "b"]}


@pytest.mark.asyncio
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_messages_of_anthropic(monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
    """What the proxy serves as ``/v1/messages``: whole and streamed."""
    if streamed:  # by a module of the proxy
        import_or_skip("soundfile")
    with traced(monkeypatch) as (litellm, tracing, provider):
        if not hasattr(litellm, "anthropic_messages"):
            return
        how = {"model": "anthropic/ok", "api_base": provider.url, "api_key": "k"}
        request = {"max_tokens": 9, "messages": MESSAGES, "stream": streamed}
        answer = await litellm.anthropic_messages(**how, **request)
        if streamed:
            async for _ in answer:
                pass

    assert tracing.model["outputs"]["content"] == TEXT
    assert tracing.model["metadata"]["total_tokens"] > 0


@pytest.mark.asyncio
async def test_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each route of the proxy is one event; the answers that it streams too."""
    import_or_skip("soundfile")
    with traced(monkeypatch) as (litellm, tracing, provider):
        import httpx
        from litellm.proxy import proxy_server

        models = [
            {"model_name": "good", "litellm_params": options(provider)},
            {
                "model_name": "claude",
                "litellm_params": {**options(provider, "anthropic/ok"), "api_base": provider.url},
            },
        ]
        monkeypatch.setattr(proxy_server, "llm_router", litellm.Router(model_list=models))
        monkeypatch.setattr(proxy_server, "llm_model_list", models)
        transport = httpx.ASGITransport(app=proxy_server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:

            async def post(path: str, **body: Any) -> None:
                answer = await client.post(path, json=body)
                assert answer.status_code == 200, answer.text

            chat = {"model": "good", "messages": MESSAGES}
            await post("/v1/chat/completions", **chat)
            await post("/v1/chat/completions", **chat, stream=True)
            await post("/v1/responses", model="good", input="Hello?")
            await post("/v1/messages", model="claude", max_tokens=9, messages=MESSAGES)
            await post("/v1/embeddings", model="good", input=["a"])

    *answers, embedding = tracing.events
    assert [event["outputs"]["content"] for event in answers] == [TEXT] * 4
    assert {event["metadata"]["total_tokens"] for event in answers[::2]} == {19}
    assert embedding["outputs"] == {"embeddings": 1, "dimensions": 3}


@pytest.mark.asyncio
async def test_router_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that failed and the one that answered are one event each; embeddings too."""
    with traced(monkeypatch) as (litellm, tracing, provider):
        models = [
            {"model_name": name, "litellm_params": options(provider, model)}
            for name, model in (("bad", "openai/status-400"), ("good", "openai/ok"))
        ]
        router = litellm.Router(model_list=models, fallbacks=[{"bad": ["good"]}], num_retries=0)
        answer = await router.acompletion(model="bad", messages=MESSAGES)
        assert answer.choices[0].message.content == TEXT
        await router.aembedding(model="good", input=["a"])
        await router.aresponses(model="good", input="Hello?")

    failed, good, embedding, response = tracing.events
    assert "no luck" in failed["error"]
    assert (good["outputs"]["content"], good["metadata"]["total_tokens"]) == (TEXT, 19)
    assert embedding["outputs"] == {"embeddings": 1, "dimensions": 3}
    assert (response["outputs"]["content"], response["metadata"]["total_tokens"]) == (TEXT, 19)


def test_names_that_a_program_imported_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """``from litellm import completion`` came first: its calls are recorded all the same."""
    import sys

    litellm = pytest.importorskip("litellm", reason="the contract group is not installed")
    program = types.ModuleType("program_of_a_user")
    program.completion = original = litellm.completion  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, program.__name__, program)
    with traced(monkeypatch) as (_, tracing, provider):
        program.completion(messages=MESSAGES, **options(provider))  # type: ignore[attr-defined]

    assert tracing.model["outputs"]["content"] == TEXT
    assert program.completion is original is litellm.completion  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_an_answer_from_the_cache_of_litellm_counts_no_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event has the answer, and says that no model was paid for it."""
    import_or_skip("soundfile")  # litellm's cache imports its proxy
    with traced(monkeypatch) as (litellm, tracing, provider):
        monkeypatch.setattr(litellm, "cache", litellm.Cache(type="local"))
        how = {**options(provider), "caching": True}
        usage = {"stream": True, "stream_options": {"include_usage": True}}
        litellm.completion(messages=MESSAGES, **how)
        list(litellm.completion(messages=MESSAGES, **how, **usage))
        litellm.completion(messages=MESSAGES, **how)
        list(litellm.completion(messages=MESSAGES, **how, **usage))
        await litellm.acompletion(messages=MESSAGES, **how)

    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT] * 5
    assert tracing.events[0]["metadata"]["total_tokens"] == 19
    for event in tracing.events[2:]:
        assert event["metadata"]["cached"] is True
        assert not [name for name in event["metadata"] if name.endswith("_tokens")]
