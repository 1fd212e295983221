"""anthropic: every way to call it gives one model event and leaves the SDK's behaviour as it is.

Against a local provider, with the anthropic package that is installed; tests/instrument_versions.sh
runs the same file on older majors.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.stainless_suite import SdkUnderTest, StainlessSuite, has_fields
from support.stubs.anthropic_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

anthropic = pytest.importorskip("anthropic", reason="the contract group is not installed")

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

ASKED = [{"role": "user", "content": "Hello?"}]
USAGE = {
    "prompt_tokens": 17,
    "completion_tokens": 7,
    "total_tokens": 24,
    "cache_read_tokens": 5,
    "cache_write_tokens": 2,
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(ROUTES) as running:
        yield running


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("anthropic") as tracer:
        yield tracer


@pytest.fixture
def client(provider: Provider) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=1) as sync_client:
        yield sync_client


def async_client(provider: Provider, **options: Any) -> Any:
    options = {"max_retries": 1, **options}
    return anthropic.AsyncAnthropic(base_url=provider.url, api_key="k", **options)


def ask(model: str = "ok", **options: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "messages": ASKED, **options}


async def leave_helper_early(client: Any) -> None:
    async with client.messages.stream(**ask()) as stream:
        async for _ in stream.text_stream:
            break


class TestAnthropic(StainlessSuite):
    """The suite that all SDKs of this make pass."""

    sdk = SdkUnderTest(
        package="anthropic",
        text=TEXT,
        async_client=async_client,
        resource=lambda client: client.messages,
        ask=ask,
        has_text=lambda event: event.type == "content_block_delta",
        text_of=lambda message: str(message.content[1].text),
        leave_helper_early=leave_helper_early,
        server_error=anthropic.InternalServerError,
    )
    mixed_calls = 1000


def test_a_message_becomes_one_model_event(tracing: ModelTracer, client: Any) -> None:
    """The plain case; the system prompt is the first message, the cache is part of the prompt."""
    result = client.messages.create(**ask(system="Be kind", stop_sequences=["x"]))

    event = tracing.model
    assert type(result) is anthropic.types.Message
    assert event["event_name"] == "chat ok"
    assert event["inputs"] == {"chat_history": [{"role": "system", "content": "Be kind"}, *ASKED]}
    assert event["outputs"] == {
        "role": "assistant",
        "content": TEXT,
        "reasoning": "Let me see",
        "reasoning_signatures": ["s"],
    }
    assert event["config"] == {
        "type": "chat",
        "model": "ok",
        "provider": "anthropic",
        "hyperparameters": {"max_tokens": 100, "stop_sequences": ["x"]},
    }
    has_fields(event, "metadata", {**USAGE, "finish_reason": "end_turn", "request_id": "req_stub"})
    has_fields(event, "metadata", {"http_status": 200, "response_model": "ok-2026"})


def test_tool_calls_are_told_whole_and_streamed_alike(tracing: ModelTracer, client: Any) -> None:
    """A stream brings the tool's input in pieces of JSON."""
    tools = [{"name": "weather", "input_schema": {"type": "object"}}]
    client.messages.create(**ask("tools", tools=tools))
    list(client.messages.create(**ask("tools", stream=True)))

    whole, streamed = tracing.events
    assert whole["config"]["tools"] == tools
    assert whole["outputs"]["tool_calls"] == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "weather", "arguments": {"city": "Oslo"}},
        }
    ]
    assert streamed["outputs"] == whole["outputs"]
    assert streamed["metadata"]["finish_reason"] == "tool_use"


def test_a_stream_is_read_out(tracing: ModelTracer, client: Any) -> None:
    """Usage in a stream is cumulative: the last count replaces, it is not added."""
    stream = client.messages.create(**ask(stream=True))
    assert type(stream) is anthropic.Stream
    assert tracing.events == []
    kinds = [event.type for event in stream]

    event = tracing.model
    assert kinds[-1] == "message_stop"
    assert event["outputs"] == {"role": "assistant", "content": TEXT}
    has_fields(event, "metadata", {**USAGE, "finish_reason": "end_turn", "request_id": "req_stub"})
    assert "stream_end" not in event["metadata"]
    assert event["metrics"]["chunks"] == len(kinds)


def test_a_stream_without_its_end_is_told(tracing: ModelTracer, client: Any) -> None:
    """The SDK raises nothing when ``message_stop`` never comes; the event says so."""
    list(client.messages.create(**ask("unfinished", stream=True)))

    assert tracing.model["metadata"]["stream_end"] == "cut"


@pytest.mark.parametrize("model", ["sse-error", "cut"])
def test_a_stream_that_fails(tracing: ModelTracer, client: Any, model: str) -> None:
    """An error event, or the connection cut: raised as the SDK does, and on the event."""
    with pytest.raises(Exception) as caught:
        list(client.messages.create(**ask(model, stream=True)))

    event = tracing.model
    assert type(caught.value).__name__ in event["error"]
    assert event["metadata"]["response_id"] == "msg_1"


def test_a_refused_call_and_a_retry(tracing: ModelTracer, client: Any, provider: Provider) -> None:
    """A status error with its request id; two tries are one event."""
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**ask("status-400"))
    before = len(provider.requests)
    client.messages.create(**ask("flaky"))

    refused, retried = tracing.events
    assert refused["error"].startswith("BadRequestError")
    has_fields(refused, "metadata", {"http_status": 400, "request_id": "req_stub"})
    assert len(provider.requests) == before + 2
    assert retried["metadata"]["retries"] == 1
    assert retried.get("error") is None


def test_the_stream_helper(tracing: ModelTracer, client: Any) -> None:
    """``.stream()``: its events and its final message, and one event of ours."""
    with client.messages.stream(**ask()) as stream:
        assert "".join(stream.text_stream) == TEXT
        assert stream.get_final_message().content[0].text == TEXT

    assert tracing.model["outputs"]["content"] == TEXT
    assert "stream_end" not in tracing.model["metadata"]


def test_the_stream_helper_left_early(tracing: ModelTracer, client: Any) -> None:
    """The context manager closes the response."""
    with client.messages.stream(**ask()) as stream:
        for _ in stream.text_stream:
            break

    assert tracing.model["outputs"]["content"] == "Hello"
    assert tracing.model["metadata"]["stream_end"] == "closed"


def test_beta_messages(tracing: ModelTracer, client: Any) -> None:
    """The beta resource has a URL of its own."""
    client.beta.messages.create(**ask())

    assert tracing.model["outputs"]["content"] == TEXT


def test_raw_responses(tracing: ModelTracer, client: Any) -> None:
    """``with_raw_response``, whole and streamed."""
    raw = client.messages.with_raw_response.create(**ask())
    assert raw.headers["request-id"] == "req_stub"
    assert raw.parse().content[1].text == TEXT
    raw = client.messages.with_raw_response.create(**ask(stream=True))
    stream = raw.parse()
    assert raw.parse() is stream
    assert list(stream)[-1].type == "message_stop"

    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT, TEXT]
    for event in tracing.events:
        has_fields(event, "metadata", USAGE)


def test_what_is_recorded_is_what_was_sent(tracing: ModelTracer, client: Any) -> None:
    """The SDK's body aliases the user's own list, and holds objects of the SDK's."""
    answer = client.messages.create(**ask())
    messages: list[Any] = [{"role": "user", "content": "first"}]
    messages.append({"role": "assistant", "content": answer.content})
    stream = client.messages.create(model="ok", max_tokens=9, messages=messages, stream=True)
    messages[0]["content"] = "changed"
    messages.append({"role": "user", "content": "second"})
    list(stream)

    history = tracing.events[1]["inputs"]["chat_history"]
    assert [message["role"] for message in history] == ["user", "assistant"]
    assert history[0]["content"] == "first"
    assert history[1]["content"][1]["text"] == TEXT


def test_messages_from_a_generator_are_not_consumed(tracing: ModelTracer, client: Any) -> None:
    """An iterable may be read once, and that is for the SDK to do."""
    client.messages.create(model="ok", max_tokens=9, messages=(message for message in ASKED))

    assert tracing.model["outputs"]["content"] == TEXT


def test_the_sdks_own_telemetry_does_not_double(tracing: ModelTracer, client: Any) -> None:
    """A call inside a model span is no second event; the span gets the usage."""
    with tracing.session(), tracing.span("ask", type="model"):
        client.messages.create(**ask())

    assert tracing.model["event_name"] == "ask"
    has_fields(tracing.model, "metadata", USAGE)


def test_counting_tokens_is_no_event(tracing: ModelTracer, client: Any, provider: Provider) -> None:
    """An endpoint that calls no model."""
    provider.routes["/v1/messages/count_tokens"] = lambda body: {"input_tokens": 3}
    client.messages.count_tokens(model="ok", messages=ASKED)

    assert tracing.records == []


# -- asyncio --------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_async_whole_streamed_and_helper(tracing: ModelTracer, provider: Provider) -> None:
    """The async client, through the same choke point."""
    async with async_client(provider) as client:
        await client.messages.create(**ask())
        stream = await client.messages.create(**ask(stream=True))
        assert type(stream) is anthropic.AsyncStream
        async for _ in stream:
            pass
        async with client.messages.stream(**ask()) as helper:
            assert "".join([text async for text in helper.text_stream]) == TEXT

    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT] * 3
    for event in tracing.events:
        has_fields(event, "metadata", USAGE)


@pytest.mark.asyncio
async def test_async_raw_and_streaming_responses(tracing: ModelTracer, provider: Provider) -> None:
    """Whether ``parse`` is a coroutine depends on the major."""

    async def parsed(raw: Any) -> Any:
        result = raw.parse()
        return await result if inspect.isawaitable(result) else result

    async with async_client(provider) as client:
        raw = await client.messages.with_raw_response.create(**ask())
        assert (await parsed(raw)).content[1].text == TEXT
        raw = await client.messages.with_raw_response.create(**ask(stream=True))
        assert [event async for event in await parsed(raw)][-1].type == "message_stop"
        create = client.messages.with_streaming_response.create
        async with create(**ask()) as response:
            assert (await response.parse()).content[1].text == TEXT
        async with create(**ask()) as response:
            assert TEXT in "".join([line async for line in response.iter_lines()])

    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT] * 4
