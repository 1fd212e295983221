"""Answers that are fetched after the call: results of batches, responses in the background."""

from __future__ import annotations

import gc
import json
import warnings
from typing import Any

import pytest
from support.instrumented import instrumented
from support.mocked_sdk import client_of

from sessiontrace.model.step_types import CALL_TYPES

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
CHAT["choices"] = [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
]
EMBEDDING = {"object": "list", "model": "e", "data": [{"embedding": [0.1, 0.2]}], "usage": USAGE}


def result(custom_id: str, status: int, body: Any, error: Any = None) -> bytes:
    """One line of a file of results."""
    response = {"status_code": status, "request_id": f"req_{custom_id}", "body": body}
    line = {"id": f"batch_{custom_id}", "custom_id": custom_id, "error": error}
    return json.dumps({**line, "response": None if error else response}).encode()


RESULTS = b"\n".join(
    [
        result("a", 200, CHAT),
        result("b", 200, EMBEDDING),
        result("c", 400, {"error": {"message": "no luck", "type": "invalid_request_error"}}),
        b"not JSON at all",
        result("d", 0, None, {"code": "batch_expired", "message": "too late"}),
    ]
)
REQUESTS = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'


def openai_answer(request: Any) -> dict[str, Any]:
    """Files by their id, batches, and a response that is ready at the second look."""
    path = request.url.path
    if path.endswith("/content"):
        content = {"out": RESULTS, "in": REQUESTS, "other": b"\x00\xff"}[path.split("/")[-2]]
        return {"content": content}
    if "/batches" in path:
        return {"json": {"id": "batch_1", "object": "batch", "status": "completed"}}
    status = "in_progress" if "looked" not in openai_answer.__dict__ else "completed"
    openai_answer.__dict__["looked"] = True
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    message["content"] = [{"type": "output_text", "text": "Hi", "annotations": []}]  # type: ignore[assignment]
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    body = {"id": "resp_1", "object": "response", "model": "m", "background": True, "created_at": 1}
    body |= {"status": status, "output": [message] if status == "completed" else []}
    return {"json": {**body, "usage": usage if status == "completed" else None}}


@pytest.mark.asyncio
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_text", [False, True])
async def test_openai_results_of_a_batch(
    is_async: bool, is_text: bool, fetched_before: None
) -> None:
    """Each result is one event, once; other files and the batch itself make none."""
    with instrumented("openai", waiting=True) as tracing:
        client = client_of("AsyncOpenAI" if is_async else "OpenAI", "openai", openai_answer)

        async def call(method: Any, *args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            return await answer if is_async else answer

        with tracing.session():
            await call(
                client.batches.create,
                input_file_id="in",
                endpoint="/v1/chat/completions",
                completion_window="24h",
            )
            await call(client.batches.retrieve, "batch_1")
            if is_text:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    assert await call(client.files.retrieve_content, "out") == RESULTS.decode()
            for file in ("in", "other", "out", "out"):
                content = await call(client.files.content, file)
            assert content.content == RESULTS
        await call(client.close)

    chain = next(event for event in tracing.events if event["event_type"] == "chain")
    chat, embedding, failed = [e for e in tracing.events if e["event_type"] in CALL_TYPES]
    assert chain["outputs"]["results"] == {"succeeded": 2, "errored": 1, "expired": 1}
    assert {e["parent_id"] for e in (chat, embedding, failed)} == {chain["event_id"]}
    assert chat["outputs"]["content"] == "Hi"
    assert chat["metadata"]["total_tokens"] == 3
    assert (chat["metadata"]["custom_id"], chat["config"]["batch"]) == ("a", True)
    assert embedding["outputs"] == {"embeddings": 1, "dimensions": 2}
    assert failed["error"] == "no luck"


def test_a_background_response_is_recorded_when_it_is_there(fetched_before: None) -> None:
    """Polling makes one event, with the answer and its tokens."""
    openai_answer.__dict__.pop("looked", None)
    with instrumented("openai", waiting=True) as tracing:
        client = client_of("OpenAI", "openai", openai_answer)
        with tracing.session():
            for _ in range(3):
                client.responses.retrieve("resp_1")
        client.close()

    assert tracing.model["outputs"]["content"] == "Hi"
    assert tracing.model["metadata"]["total_tokens"] == 3
    assert tracing.model["metadata"]["fetched"] is True


def anthropic_line(custom_id: str, kind: str, **fields: Any) -> str:
    """One line of the stream of results."""
    return json.dumps({"custom_id": custom_id, "result": {"type": kind, **fields}})


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
ERROR = {"type": "error", "error": {"type": "invalid_request_error", "message": "no luck"}}
STREAM = "\n".join(
    [
        anthropic_line("a", "succeeded", message=MESSAGE),
        anthropic_line("b", "errored", error=ERROR),
        anthropic_line("c", "canceled"),
    ]
)


def anthropic_answer(request: Any) -> dict[str, Any]:
    """The results of a batch, the batch itself, or a count of tokens."""
    path = request.url.path
    if path.endswith("/count_tokens"):
        return {"json": {"input_tokens": 3}}
    if path.endswith("/results"):
        return {"text": STREAM, "headers": {"content-type": "application/x-jsonl"}}
    body = {"id": "batch_1", "type": "message_batch", "processing_status": "ended"}
    body["results_url"] = "https://api.anthropic.com/v1/messages/batches/batch_1/results"
    return {"json": body}


@pytest.mark.asyncio
@pytest.mark.parametrize("surface", ["stable", "beta"])
async def test_anthropic_results_of_a_batch(surface: str, fetched_before: None) -> None:
    """Read one by one, async, stable and beta: the same events; a count of tokens makes none."""
    with instrumented("anthropic", waiting=True) as tracing:
        client = client_of("AsyncAnthropic", "anthropic", anthropic_answer)
        messages = (client.beta if surface == "beta" else client).messages
        with tracing.session():
            await messages.count_tokens(model="m", messages=[{"role": "user", "content": "q"}])
            results = await messages.batches.results("batch_1")
            kinds = [line.result.type async for line in results]
            del results
        await client.close()

    assert kinds == ["succeeded", "errored", "canceled"]
    chain = next(event for event in tracing.events if event["event_type"] == "chain")
    message, failed = [e for e in tracing.events if e["event_type"] in CALL_TYPES]
    assert chain["outputs"]["results"] == {"succeeded": 1, "errored": 1, "canceled": 1}
    assert message["outputs"]["content"] == "Hi"
    assert message["metadata"]["total_tokens"] == 3
    assert message["metadata"]["custom_id"] == "a"
    assert failed["error"] == "no luck"


def test_anthropic_results_that_are_broken_off(fetched_before: None) -> None:
    """The program reads the first result only: the chain event ends when it drops the stream."""
    with instrumented("anthropic", waiting=True) as tracing:
        client = client_of("Anthropic", "anthropic", anthropic_answer)
        with tracing.session():
            results = client.messages.batches.results("batch_1")
            assert next(results).custom_id == "a"
            del results
            gc.collect()
        client.close()

    message, chain = tracing.events
    assert message["metadata"]["custom_id"] == "a"
    assert chain["metadata"]["stream_end"] == "dropped"


@pytest.fixture
def fetched_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been fetched in this process before."""
    from sessiontrace.instrumentation.openai_family import fetched_results

    monkeypatch.setattr(fetched_results, "_fetched", fetched_results._Fetched())


def test_the_tool_runner_of_anthropic() -> None:
    """Each turn of the runner is one event, and the tool's result is in the second's history."""
    anthropic = pytest.importorskip("anthropic", reason="the contract group is not installed")
    if not hasattr(anthropic, "beta_tool"):
        return  # an older version
    use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo"}}
    turns = iter([{**MESSAGE, "content": [use], "stop_reason": "tool_use"}, MESSAGE])

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather.

        Args:
            city: where
        """
        return f"21 in {city}"

    with instrumented("anthropic", waiting=True) as tracing:
        client = client_of("Anthropic", "anthropic", lambda request: {"json": next(turns)})
        question = [{"role": "user", "content": "q"}]
        with tracing.session():
            runner = client.beta.messages.tool_runner(
                model="m", max_tokens=9, messages=question, tools=[weather]
            )
            assert runner.until_done().content[0].text == "Hi"
        client.close()

    call, answer = tracing.events
    assert call["outputs"]["tool_calls"][0]["function"]["name"] == "weather"
    assert "21 in Oslo" in json.dumps(answer["inputs"]["chat_history"])
    assert answer["outputs"]["content"] == "Hi"


def test_a_client_of_a_cloud_names_its_provider() -> None:
    """By its class, also where a program derives its own from it."""
    openai = pytest.importorskip("openai", reason="the contract group is not installed")

    class Own(openai.AzureOpenAI):  # type: ignore[misc, name-defined]
        pass

    client = Own(api_key="k", api_version="v", azure_endpoint="http://127.0.0.1:9", max_retries=0)
    with instrumented("openai", waiting=True) as tracing, tracing.session():
        with pytest.raises(openai.APIConnectionError):
            client.embeddings.create(model="m", input="a")
    client.close()

    assert tracing.model["config"]["provider"] == "azure.ai.openai"
