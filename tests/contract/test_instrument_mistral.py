"""mistralai beyond chat: agents, conversations, fim, embeddings, ocr, moderation and sound."""

from __future__ import annotations

import base64
import hashlib
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
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

MESSAGES = [{"role": "user", "content": "Hello?"}]
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}


def with_model(route: Any) -> Any:
    """An agent's request names no model."""
    return lambda body: route({"model": "ok", **body})


def conversation(body: dict[str, Any]) -> Any:
    """A message and the call of a function, whole or streamed."""
    call = {"type": "function.call", "id": "f", "tool_call_id": "c1", "name": "weather"}
    call["arguments"] = '{"city":"Oslo"}'
    if not body.get("stream"):
        message = {"type": "message.output", "id": "m", "content": TEXT, "model": "ok"}
        outputs = [message, call]
        return {"conversation_id": "conv_1", "outputs": outputs, "usage": USAGE}
    return conversation_events(call)


def conversation_events(call: dict[str, Any]) -> Iterator[str]:
    """The same as ``conversation``, streamed."""
    yield sse("conversation.response.started", conversation_id="conv_1")
    for number, word in enumerate(TEXT.split(" ")):
        content = word if number == 0 else f" {word}"
        yield sse("message.output.delta", id="m", output_index=0, content=content)
    for arguments in ('{"city":', '"Oslo"}'):
        fields = {**call, "type": "function.call.delta", "arguments": arguments}
        yield sse(fields.pop("type"), output_index=1, **fields)
    yield sse("conversation.response.done", usage=USAGE)


def sse(kind: str, **fields: Any) -> str:
    """One event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def ocr(body: dict[str, Any]) -> dict[str, Any]:
    """One page."""
    page = {"index": 0, "markdown": "# Hi", "images": [], "dimensions": None}
    return {"pages": [page], "model": "ok", "usage_info": {"pages_processed": 1}}


def moderation(body: dict[str, Any]) -> dict[str, Any]:
    """One verdict."""
    return {"id": "m1", "model": "ok", "results": [{"categories": {}, "category_scores": {}}]}


ROUTES = {
    **openai_api.ROUTES,
    "/v1/agents/completions": with_model(openai_api.chat),
    "/v1/fim/completions": openai_api.chat,
    "/v1/embeddings": lambda body: {**openai_api.embeddings(body), "id": "e1"},
    "/v1/ocr": ocr,
    "/v1/moderations": moderation,
    "/v1/conversations": conversation,
    "/v1/conversations/conv_1": conversation,
    "/v1/audio/speech": lambda body: {"audio_data": base64.b64encode(b"RIFF").decode()},
}


@pytest.mark.asyncio
async def test_agents_fim_embeddings_ocr_moderation_and_speech() -> None:
    """Sync and async: each call is one event of its own kind."""
    pytest.importorskip("mistralai.client", reason="the contract group is not installed")
    from mistralai.client import Mistral

    with serving(ROUTES) as provider, instrumented("mistralai") as tracing, tracing.session():
        with Mistral(api_key="k", server_url=provider.url) as client:
            client.agents.complete(agent_id="ag_1", messages=MESSAGES)
            with client.fim.stream(model="ok", prompt="def f", suffix="return") as stream:
                list(stream)
            client.embeddings.create(model="ok", inputs=["a", "b"])
            document = {"type": "document_url", "document_url": "https://d/1.pdf"}
            client.ocr.process(model="ok", document=document)
        async with Mistral(api_key="k", server_url=provider.url) as client:
            await client.fim.complete_async(model="ok", prompt="def f")
            await client.embeddings.create_async(model="ok", inputs=["a"])
            await client.classifiers.moderate_async(model="ok", inputs=["bad"])
            if hasattr(client.audio, "speech"):
                await client.audio.speech.complete_async(model="ok", input="Hi")

    agent, fim, embedding, pages, later_fim, later, moderated, *speech = tracing.events
    assert agent["event_name"] == "chat ag_1"
    assert (agent["config"]["agent_id"], agent["outputs"]["content"]) == ("ag_1", TEXT)
    assert fim["event_name"] == "text_completion ok"
    assert fim["inputs"] == {"prompt": "def f", "suffix": "return"}
    assert fim["outputs"]["content"] == later_fim["outputs"]["content"] == TEXT
    assert embedding["inputs"] == {"input": ["a", "b"]}
    assert embedding["outputs"] == {"embeddings": 2, "dimensions": 3}
    assert later["metadata"]["total_tokens"] == 4
    assert pages["outputs"]["pages"][0]["markdown"] == "# Hi"
    assert pages["metadata"]["pages_processed"] == 1
    assert moderated["event_name"] == "moderation ok"
    for event in speech:
        assert event["outputs"]["audio"]["sha256"] == hashlib.sha256(b"RIFF").hexdigest()


@pytest.mark.asyncio
async def test_conversations() -> None:
    """Started, continued, streamed and async: the same answer and tokens; one cut short."""
    pytest.importorskip("mistralai.client", reason="the contract group is not installed")
    from mistralai.client import Mistral

    with serving(ROUTES) as provider, instrumented("mistralai") as tracing, tracing.session():
        with Mistral(api_key="k", server_url=provider.url) as client:
            turns = client.beta.conversations
            turns.start(model="ok", inputs="Hello?", instructions="Be kind")
            with turns.append_stream(conversation_id="conv_1", inputs="Hello?") as stream:
                list(stream)
            with turns.start_stream(model="ok", inputs="Hello?") as stream:
                for event in stream:
                    if event.event == "message.output.delta":
                        break
        async with Mistral(api_key="k", server_url=provider.url) as client:
            await client.beta.conversations.start_async(agent_id="ag_1", inputs=MESSAGES)

    start, append, broken, later = tracing.events
    assert [message["role"] for message in start["inputs"]["chat_history"]] == ["system", "user"]
    for event in (start, append, later):
        assert event["outputs"] == start["outputs"]
        assert event["metadata"]["total_tokens"] == 19
        assert event["metadata"]["conversation_id"] == "conv_1"
    assert start["outputs"]["content"] == TEXT
    assert start["outputs"]["tool_calls"][0]["function"]["arguments"] == '{"city":"Oslo"}'
    assert later["config"]["agent_id"] == "ag_1"
    assert (broken["outputs"]["content"], broken["metadata"]["stream_end"]) == ("Hello", "closed")
