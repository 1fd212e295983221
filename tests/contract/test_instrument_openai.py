"""openai: every way to call it gives one model event and leaves the SDK's behaviour as it is.

Against a local provider, with the openai package that is installed; tests/instrument_versions.sh
runs the same file on older majors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.stainless_suite import SdkUnderTest, StainlessSuite, has_fields
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

from sessiontrace.instrumentation.registry import Instruments

openai = pytest.importorskip("openai", reason="the contract group is not installed")

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

ASKED = [{"role": "user", "content": "Hello?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "cache_read_tokens": 5,
    "reasoning_tokens": 3,
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(ROUTES) as running:
        yield running


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("openai") as tracer:
        yield tracer


@pytest.fixture
def client(provider: Provider) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=1) as sync_client:
        yield sync_client


def async_client(provider: Provider, **options: Any) -> Any:
    options = {"max_retries": 1, **options}
    return openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k", **options)


def ask(model: str = "ok", **options: Any) -> dict[str, Any]:
    return {"model": model, "messages": ASKED, **options}


async def leave_stream_early(client: Any) -> None:
    async with await client.chat.completions.create(**ask(stream=True)) as stream:
        async for _ in stream:
            break


class TestOpenAI(StainlessSuite):
    """The suite that all SDKs of this make pass."""

    sdk = SdkUnderTest(
        package="openai",
        text=TEXT,
        async_client=async_client,
        resource=lambda client: client.chat.completions,
        ask=ask,
        has_text=lambda chunk: bool(chunk.choices[0].delta.content),
        text_of=lambda completion: str(completion.choices[0].message.content),
        leave_helper_early=leave_stream_early,
        server_error=openai.InternalServerError,
        closes_dropped_streams=openai.__version__ >= "2",
    )
    mixed_calls = 2000


def test_a_chat_completion_becomes_one_model_event(tracing: ModelTracer, client: Any) -> None:
    """The plain case: who was asked what, what came back, at what cost."""
    result = client.chat.completions.create(**ask(temperature=0.5, tools=TOOLS))

    event = tracing.model
    assert type(result) is openai.types.chat.ChatCompletion
    assert event["event_name"] == "chat ok"
    assert event["inputs"] == {"chat_history": ASKED}
    assert event["outputs"] == {"role": "assistant", "content": TEXT}
    assert event["config"] == {
        "type": "chat",
        "model": "ok",
        "provider": "openai",
        "hyperparameters": {"temperature": 0.5},
        "tools": TOOLS,
    }
    has_fields(event, "metadata", {**USAGE, "finish_reason": "stop", "request_id": "req_stub"})
    has_fields(event, "metadata", {"http_status": 200, "response_model": "ok-2026"})
    assert event.get("error") is None


def test_tool_calls_are_told_whole_and_streamed_alike(tracing: ModelTracer, client: Any) -> None:
    """A stream brings a tool call in pieces; the event shows it as the whole answer does."""
    client.chat.completions.create(**ask("tools"))
    list(client.chat.completions.create(**ask("tools", stream=True)))

    whole, streamed = tracing.events
    assert whole["outputs"]["tool_calls"][0]["function"] == {
        "name": "weather",
        "arguments": '{"city":"Oslo"}',
    }
    assert streamed["outputs"] == whole["outputs"]
    assert streamed["metadata"]["finish_reason"] == "tool_calls"


def test_several_choices_are_all_shown(tracing: ModelTracer, client: Any) -> None:
    """n=2: no choice is thrown away."""
    client.chat.completions.create(**ask(n=2))

    assert [choice["content"] for choice in tracing.model["outputs"]["choices"]] == [TEXT, TEXT]


def test_a_stream_is_read_out(tracing: ModelTracer, client: Any) -> None:
    """The event ends with the stream and has its text, usage and time to the first chunk."""
    stream = client.chat.completions.create(
        **ask(stream=True, stream_options={"include_usage": True})
    )
    assert type(stream) is openai.Stream
    assert tracing.events == []
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    event = tracing.model
    assert text == TEXT
    assert event["outputs"]["content"] == TEXT
    has_fields(event, "metadata", {**USAGE, "finish_reason": "stop", "request_id": "req_stub"})
    assert "stream_end" not in event["metadata"]
    assert event["metrics"]["chunks"] == 7
    assert 0 < event["metrics"]["time_to_first_chunk_ms"] <= event["duration"]


def test_an_error_event_in_a_stream(tracing: ModelTracer, client: Any) -> None:
    """The SDK raises from the iterator; the event has the error and the text before it."""
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**ask("sse-error", stream=True)))

    event = tracing.model
    assert "too much" in event["error"]
    assert event["outputs"]["content"] == "Hello from"


def test_a_connection_cut_in_a_stream(tracing: ModelTracer, client: Any) -> None:
    """The provider vanishes: as an error event, whatever exception this major raises."""
    with pytest.raises(Exception) as caught:
        list(client.chat.completions.create(**ask("cut", stream=True)))

    event = tracing.model
    assert type(caught.value).__name__ in event["error"]
    assert event["outputs"]["content"] == "Hello from"


def layers(fn: Any) -> int:
    """How many wrappers are on a method: an instrumentor of others may have put an old one back.

    An old one hands on through what looks for answers that are fetched later: a frame beside it.
    """
    count = 0
    while hasattr(fn, "__wrapped__"):
        fn, count = fn.__wrapped__, count + 1
    return count


def test_a_refused_call(tracing: ModelTracer, client: Any) -> None:
    """A status error, raised as it is, with status, code and request id on the event."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**ask("status-400"))

    event = tracing.model
    assert event["error"].startswith("BadRequestError")
    has_fields(
        event, "metadata", {"http_status": 400, "request_id": "req_stub", "error_code": "stub"}
    )
    frames = [frame for frame in caught.traceback if "sessiontrace" in str(frame.path)]
    old = layers(type(client).request) - 1
    assert len(frames) <= 1 + 2 * old, "one frame for a wrapper that is in use, no more"


def test_a_retry_is_part_of_the_one_event(
    tracing: ModelTracer, client: Any, provider: Provider
) -> None:
    """The SDK tries twice; the user made one call."""
    before = len(provider.requests)
    client.chat.completions.create(**ask("flaky"))

    assert len(provider.requests) == before + 2
    assert tracing.model["metadata"]["retries"] == 1
    assert tracing.model.get("error") is None


def test_the_stream_helper(tracing: ModelTracer, client: Any) -> None:
    """``.stream()`` wraps the stream in an object of its own, with events of its own."""
    create = getattr(client.chat.completions, "stream", None) or client.beta.chat.completions.stream
    with create(model="ok", messages=ASKED) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()

    assert final.choices[0].message.content == TEXT
    assert tracing.model["outputs"]["content"] == TEXT
    assert "stream_end" not in tracing.model["metadata"]


def test_the_stream_helper_left_early(tracing: ModelTracer, client: Any) -> None:
    """Its ``close`` goes past the stream, straight to the response."""
    create = getattr(client.chat.completions, "stream", None) or client.beta.chat.completions.stream
    with create(model="ok", messages=ASKED) as stream:
        for event in stream:
            if event.type == "content.delta" and event.delta:
                break

    assert tracing.model["outputs"]["content"] == "Hello"
    assert tracing.model["metadata"]["stream_end"] == "closed"


def test_parse_gives_the_parsed_object(tracing: ModelTracer, client: Any) -> None:
    """Structured output: the user's class comes back, the event has the text."""
    import pydantic

    class Reply(pydantic.BaseModel):
        answer: int

    parse = getattr(client.chat.completions, "parse", None) or client.beta.chat.completions.parse
    result = parse(model="ok", messages=ASKED, response_format=Reply)

    assert result.choices[0].message.parsed == Reply(answer=42)
    assert tracing.model["outputs"]["content"] == '{"answer": 42}'


def test_raw_responses(tracing: ModelTracer, client: Any) -> None:
    """``with_raw_response``: headers and parse as ever."""
    plain = client.chat.completions.with_raw_response.create(**ask())

    assert plain.headers["x-request-id"] == "req_stub"
    assert plain.parse().choices[0].message.content == TEXT
    assert tracing.model["outputs"]["content"] == TEXT
    has_fields(tracing.model, "metadata", USAGE)


def test_a_stream_from_a_raw_response(tracing: ModelTracer, client: Any) -> None:
    """The stream only exists once ``parse`` is called; twice gives the same one."""
    raw = client.chat.completions.with_raw_response.create(**ask(stream=True))
    stream = raw.parse()
    assert raw.parse() is stream
    assert sum(1 for _ in stream) == 6

    assert tracing.model["outputs"]["content"] == TEXT


def test_a_streamed_body_read_as_lines(tracing: ModelTracer, client: Any) -> None:
    """Server-sent events read by hand are understood too."""
    create = client.chat.completions.with_streaming_response.create
    with create(**ask(stream=True)) as response:
        lines = [line for line in response.iter_lines() if line]

    assert lines[-1] == "data: [DONE]"
    assert tracing.model["outputs"]["content"] == TEXT


def test_responses_whole_and_streamed(tracing: ModelTracer, client: Any) -> None:
    """The responses API: text in, instructions as the system message."""
    whole = client.responses.create(model="ok", input="Hello?", instructions="Be kind")
    assert whole.output_text == TEXT
    events = list(client.responses.create(model="ok", input="Hello?", stream=True))
    assert events[-1].type == "response.completed"

    first, second = tracing.events
    assert first["inputs"]["chat_history"] == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Hello?"},
    ]
    for event in (first, second):
        assert event["outputs"] == {"role": "assistant", "content": TEXT}
        has_fields(event, "metadata", {**USAGE, "finish_reason": "completed"})


def test_a_response_with_a_tool_call(tracing: ModelTracer, client: Any) -> None:
    """Its call id is what the answer to it will name."""
    client.responses.create(model="tools", input="Hello?")

    call = tracing.model["outputs"]["tool_calls"][0]
    assert call["id"] == "call_1"
    assert call["function"]["name"] == "weather"


def test_responses_parse_and_helper(tracing: ModelTracer, client: Any) -> None:
    """Structured output and the stream helper of the responses API."""
    if not hasattr(client.responses, "stream"):
        pytest.skip("this major has no responses.stream")
    with client.responses.stream(model="ok", input="Hello?") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == TEXT
    with client.responses.with_streaming_response.create(model="ok", input="Hello?") as response:
        assert response.parse().output_text == TEXT

    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT, TEXT]


def test_a_response_stream_broken_off(tracing: ModelTracer, client: Any) -> None:
    """No final event has come: the deltas make the text."""
    if not hasattr(client.responses, "stream"):
        pytest.skip("this major has no responses.stream")
    with client.responses.create(model="ok", input="Hello?", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break

    assert tracing.model["outputs"]["content"] == "Hello"
    assert tracing.model["metadata"]["stream_end"] == "closed"


def test_embeddings_and_completions(tracing: ModelTracer, client: Any) -> None:
    """Embeddings record their number and length, never the vectors."""
    client.embeddings.create(model="embed", input=["a", "b"], encoding_format="float")
    client.completions.create(model="ok", prompt="Hello")
    list(client.completions.create(model="ok", prompt="Hello", stream=True))

    embedded, completed, streamed = tracing.events
    assert embedded["event_name"] == "embeddings embed"
    assert embedded["outputs"] == {"embeddings": 2, "dimensions": 3}
    assert embedded["metadata"]["prompt_tokens"] == 4
    for event in (completed, streamed):
        assert event["inputs"] == {"prompt": "Hello"}
        assert event["outputs"]["content"] == TEXT


def test_azure_is_told_apart(tracing: ModelTracer, provider: Provider) -> None:
    """The same SDK, another provider."""
    with openai.AzureOpenAI(
        azure_endpoint=provider.url, api_key="k", api_version="2026-01-01"
    ) as client:
        client.chat.completions.create(**ask())

    assert tracing.model["config"]["provider"] == "azure.ai.openai"


def test_the_module_level_client(
    tracing: ModelTracer, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``openai.chat.completions.create`` without a client of one's own."""
    monkeypatch.setattr(openai, "api_key", "k")
    monkeypatch.setattr(openai, "base_url", f"{provider.url}/v1/")
    monkeypatch.setattr(openai, "_client", None, raising=False)
    openai.chat.completions.create(**ask())

    assert tracing.model["outputs"]["content"] == TEXT
    openai._client.close()


def test_other_endpoints_are_left_alone(tracing: ModelTracer, client: Any) -> None:
    """What we do not know is not an event."""
    client.post("/unheard", body={"model": "ok"}, cast_to=object)

    assert tracing.records == []


def test_what_is_recorded_is_what_was_sent(tracing: ModelTracer, client: Any) -> None:
    """The user goes on with the same list; the event has it as it was."""
    messages = [{"role": "user", "content": "first"}]
    stream = client.chat.completions.create(model="ok", messages=messages, stream=True)
    messages.append({"role": "user", "content": "second"})
    messages[0]["content"] = "changed"
    list(stream)

    assert tracing.model["inputs"]["chat_history"] == [{"role": "user", "content": "first"}]


def test_a_call_inside_a_model_span_is_no_second_event(tracing: ModelTracer, client: Any) -> None:
    """The user traces the call themselves: their event gets the usage, and stays the only one."""
    with tracing.session(), tracing.span("ask", type="model"):
        client.chat.completions.create(**ask())
        client.chat.completions.create(**ask())

    event = tracing.model
    assert event["event_name"] == "ask"
    assert event["config"]["model"] == "ok"
    assert event["metadata"]["total_tokens"] == 38


def test_the_event_is_the_child_of_what_is_open(tracing: ModelTracer, client: Any) -> None:
    """A stream that outlives its step still belongs to it."""
    with tracing.session() as session:
        with tracing.span("step") as step:
            stream = client.chat.completions.create(**ask(stream=True))
        list(stream)
        with tracing.span("later") as later:
            pass

    assert tracing.model["parent_id"] == step.event_id
    by_name = {event["event_name"]: event for event in tracing.events}
    assert by_name["step"]["children_ids"] == [tracing.model["event_id"]]
    assert by_name["later"]["parent_id"] == session.session_id
    assert later.event_id


def test_without_a_session_the_call_is_a_session_of_its_own(
    tracing: ModelTracer, client: Any
) -> None:
    """And nothing of it stays current afterwards."""
    list(client.chat.completions.create(**ask(stream=True)))

    assert [head for head, _ in tracing.records] == ["start", "event", "end"]
    assert tracing.recorder.current.get() is None


def test_a_wrapper_of_someone_else_around_ours(client: Any, monkeypatch: Any) -> None:
    """Another tracer wraps ``OpenAI.request`` before or after us: still one event."""
    for order in ("before", "after"):
        tracer = ModelTracer()
        instruments = Instruments(tracer)
        if order == "after":
            instruments.add(("openai",), ())
        original = openai.OpenAI.request

        def theirs(self: Any, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
            return _original(self, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(openai.OpenAI, "request", theirs, raising=False)
            if order == "before":
                instruments.add(("openai",), ())
            try:
                client.chat.completions.create(**ask())
            finally:
                instruments.remove()
        assert tracer.model["outputs"]["content"] == TEXT


def test_a_fault_of_ours_never_reaches_the_call(
    tracing: ModelTracer, client: Any, monkeypatch: Any
) -> None:
    """Whatever breaks in reading the answer, the user has theirs."""
    from sessiontrace.instrumentation.openai_family import http_response

    def broken(*args: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(http_response.SdkHttpResponse, "close", broken)
    result = client.chat.completions.create(**ask())

    assert result.choices[0].message.content == TEXT
    assert tracing.model["metadata"]["unread"] == "RuntimeError"


def test_it_works_off_and_on_again(tracing: ModelTracer, client: Any) -> None:
    """Switched off, a call passes through without a record."""
    tracing.off = True
    client.chat.completions.create(**ask())
    assert tracing.records == []
    tracing.off = False
    client.chat.completions.create(**ask())

    assert tracing.model


# -- asyncio --------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_async_whole_and_streamed(tracing: ModelTracer, provider: Provider) -> None:
    """The async client, through the same choke point."""
    async with async_client(provider) as client:
        await client.chat.completions.create(**ask())
        stream = await client.chat.completions.create(**ask(stream=True))
        assert type(stream) is openai.AsyncStream
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == TEXT
    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT, TEXT]


@pytest.mark.asyncio
async def test_async_timeout(tracing: ModelTracer, provider: Provider) -> None:
    """``wait_for`` gives up: the event is there at once."""
    async with async_client(provider) as client:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.chat.completions.create(**ask("never")), 0.05)

    assert tracing.model["metadata"]["cancelled"] is True


@pytest.mark.asyncio
async def test_async_raw_and_streaming_responses(tracing: ModelTracer, provider: Provider) -> None:
    """Here ``parse`` may be a coroutine."""
    async with async_client(provider) as client:
        completions = client.chat.completions
        raw = await completions.with_raw_response.create(**ask())
        assert raw.parse().choices[0].message.content == TEXT
        raw = await completions.with_raw_response.create(**ask(stream=True))
        assert len([chunk async for chunk in raw.parse()]) == 6
        async with completions.with_streaming_response.create(**ask()) as response:
            assert (await response.parse()).choices[0].message.content == TEXT
        async with completions.with_streaming_response.create(**ask()) as response:
            assert TEXT in "".join([line async for line in response.iter_lines()])
        async with completions.with_streaming_response.create(**ask()) as response:
            assert TEXT in await response.text()

    assert [event["outputs"]["content"] for event in tracing.events] == [TEXT] * 5


@pytest.mark.asyncio
async def test_async_errors_and_helpers(tracing: ModelTracer, provider: Provider) -> None:
    """Errors in the stream, refused calls, and the helper."""
    async with async_client(provider) as client:
        with pytest.raises(openai.APIError):
            async for _ in await client.chat.completions.create(**ask("sse-error", stream=True)):
                pass
        with pytest.raises(openai.RateLimitError):
            await client.with_options(max_retries=0).chat.completions.create(**ask("status-429"))
        chat = client.chat.completions
        helper = getattr(chat, "stream", None) or client.beta.chat.completions.stream
        async with helper(model="ok", messages=ASKED) as stream:
            async for _ in stream:
                pass

    cut, refused, helped = tracing.events
    assert cut["outputs"]["content"] == "Hello from"
    assert refused["metadata"]["http_status"] == 429
    assert helped["outputs"]["content"] == TEXT


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # the SDK's, on trio
def test_under_trio(tracing: ModelTracer, provider: Provider) -> None:
    """The client works on trio as well, and so do we."""
    trio = pytest.importorskip("trio")

    async def main() -> None:
        async with async_client(provider) as client:
            await client.chat.completions.create(**ask())
            async with await client.chat.completions.create(**ask(stream=True)) as stream:
                async for _ in stream:
                    pass
            with trio.move_on_after(0.1):
                await client.chat.completions.create(**ask("never"))

    trio.run(main)

    whole, streamed, cancelled = tracing.events
    assert whole["outputs"]["content"] == streamed["outputs"]["content"] == TEXT
    assert cancelled["metadata"]["cancelled"] is True


def test_threads_at_once(tracing: ModelTracer, client: Any) -> None:
    """One client in eight threads: as many events as calls, each of its own text."""
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> str:
        messages = [{"role": "user", "content": f"question {number}"}]
        chunks = client.chat.completions.create(model="ok", messages=messages, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(64))) == [TEXT] * 64

    questions = {event["inputs"]["chat_history"][0]["content"] for event in tracing.events}
    assert questions == {f"question {number}" for number in range(64)}
