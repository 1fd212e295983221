"""Real clients against a stub websocket server: openai's realtime and responses, Gemini's live."""

from __future__ import annotations

import base64
import gc
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, instrumented
from support.stubs.websocket_api import CLOSE, answering

from sessiontrace.model.step_types import CALL_TYPES

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

USAGE = {
    "input_tokens": 12,
    "output_tokens": 7,
    "total_tokens": 19,
    "input_token_details": {"cached_tokens": 5, "text_tokens": 12, "audio_tokens": 0},
    "output_token_details": {"text_tokens": 7, "audio_tokens": 0},
}
SOUND = base64.b64encode(b"RIFF").decode()
SHA = hashlib.sha256(b"RIFF").hexdigest()


def openai_at(place: str, *, is_async: bool = False) -> Any:
    """A client of openai for the stub at ``place``."""
    openai = pytest.importorskip("openai", reason="the contract group is not installed")
    client = openai.AsyncOpenAI if is_async else openai.OpenAI
    return client(api_key="k", base_url=f"http://{place}/v1", websocket_base_url=f"ws://{place}/v1")


class Realtime:
    """The server's side of a realtime connection."""

    def __init__(self) -> None:
        self.responses = 0

    def __call__(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kind = message["type"]
        if kind == "session.update":
            yield {"type": "session.updated", "session": message["session"]}
        elif kind == "conversation.item.create":
            item = {"id": f"item_{self.responses}", **message["item"]}
            yield {"type": "conversation.item.added", "item": item}
        elif kind == "input_audio_buffer.commit":
            yield from self.speech()
        elif kind == "response.create":
            yield from self.respond(message)

    def speech(self) -> Iterator[dict[str, Any]]:
        """What the user said, its transcript, and a response that the server begins itself."""
        item = {"id": "heard", "type": "message", "role": "user", "status": "completed"}
        item["content"] = [{"type": "input_audio", "transcript": None}]  # type: ignore[assignment]
        yield {"type": "input_audio_buffer.committed", "item_id": "heard"}
        yield {"type": "conversation.item.added", "item": item}
        yield {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "heard",
            "content_index": 0,
            "transcript": "Hello?",
            "usage": {"type": "tokens", "input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
        }
        yield from self.respond({})

    def respond(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A response: spoken, the call of a function, refused, or cut by the connection's end."""
        metadata = (message.get("response") or {}).get("metadata") or {}
        if metadata.get("way") == "refused":
            error = {"type": "invalid_request_error", "message": "no luck"}
            yield {"type": "error", "error": {**error, "event_id": message.get("event_id")}}
            return
        self.responses += 1
        identifier = f"resp_{self.responses}"
        place = {"response_id": identifier, "output_index": 0, "item_id": "said"}
        start = {"id": identifier, "status": "in_progress", "output": []}
        yield {"type": "response.created", "response": start}
        if metadata.get("way") == "function":
            item = {"type": "function_call", "id": "said", "call_id": "c1", "name": "weather"}
            arguments = '{"city":"Oslo"}'
            yield {"type": "response.output_item.added", "item": item, **place}
            yield {
                "type": "response.function_call_arguments.delta",
                "delta": arguments,
                **place,
            }
            item["arguments"] = arguments
        else:
            item = {"type": "message", "id": "said", "role": "assistant", "content": []}
            part = {"type": "output_audio", "transcript": "Hello from the stub"}
            yield {"type": "response.output_item.added", "item": item, **place}
            for word in ("Hello", " from the stub"):
                kind = "response.output_audio_transcript.delta"
                yield {"type": kind, "delta": word, "content_index": 0, **place}
                if metadata.get("way") == "cut":
                    yield CLOSE
            yield {"type": "response.output_audio.delta", "delta": SOUND, **place}
            item["content"] = [part]  # type: ignore[assignment]
        yield {"type": "response.output_item.done", "item": item, **place}
        end = {**start, "status": "completed", "output": [item], "usage": USAGE}
        yield {"type": "response.done", "response": end}


def until(connection: Any, kind: str) -> Any:
    """Read events until one of this type."""
    for event in connection:
        if event.type == kind:
            return event
    raise AssertionError(kind)


async def until_async(connection: Any, kind: str) -> Any:
    """``until`` for an async connection."""
    async for event in connection:
        if event.type == kind:
            return event
    raise AssertionError(kind)


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    """Instrumented by the name of the SDK, which uses websockets."""
    pytest.importorskip("websockets", reason="the contract group is not installed")
    with instrumented("openai", waiting=True) as tracer:
        yield tracer


def user(text: str) -> dict[str, Any]:
    """A message of the user."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_realtime_text_functions_and_refusals(tracing: ModelTracer) -> None:
    """Each response is one event with the conversation so far; a refused one has the error."""
    with answering(Realtime()) as place, tracing.session():
        client = openai_at(place)
        with client.realtime.connect(model="ok") as connection:
            connection.session.update(session={"type": "realtime", "instructions": "Be kind"})
            connection.conversation.item.create(item=user("Hello?"))
            connection.response.create(response={"metadata": {"way": "function"}})
            until(connection, "response.done")
            output = {"type": "function_call_output", "call_id": "c1", "output": "21"}
            connection.conversation.item.create(item=output)
            connection.response.create()
            until(connection, "response.done")
            connection.response.create(response={"metadata": {"way": "refused"}}, event_id="e1")
            until(connection, "error")
        client.close()

    call, answer, refused = [e for e in tracing.events if e["event_type"] in CALL_TYPES]
    assert call["event_name"] == "chat ok"
    assert call["config"]["provider"] == "openai"
    assert call["inputs"]["chat_history"] == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Hello?"},
    ]
    function = call["outputs"]["tool_calls"][0]["function"]
    assert function == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    tool = {"role": "tool", "tool_call_id": "c1", "content": "21"}
    assert answer["inputs"]["chat_history"][-1] == tool
    assert answer["outputs"]["content"] == "Hello from the stub"
    assert answer["outputs"]["audio"] == {"bytes": 4, "sha256": SHA}
    assert answer["metadata"]["total_tokens"] == 19
    assert answer["metadata"]["cache_read_tokens"] == 5
    assert answer["metrics"]["chunks"] > 3
    assert refused["error"] == "no luck"


@pytest.mark.asyncio
async def test_realtime_speech(tracing: ModelTracer) -> None:
    """The server begins the response; sound is recorded by digest, its transcript as text."""
    settings = {"input": {"transcription": {"model": "stt"}}}
    with answering(Realtime()) as place, tracing.session():
        async with openai_at(place, is_async=True) as client:
            async with client.realtime.connect(model="ok") as connection:
                await connection.session.update(session={"type": "realtime", "audio": settings})
                await connection.input_audio_buffer.append(audio=SOUND)
                await connection.input_audio_buffer.commit()
                await until_async(connection, "response.done")

    transcription, answer = tracing.events
    assert transcription["event_name"] == "transcription stt"
    assert transcription["inputs"] == {"audio": {"bytes": 4, "sha256": SHA}}
    assert transcription["outputs"]["text"] == "Hello?"
    assert transcription["metadata"]["total_tokens"] == 5
    (part,) = answer["inputs"]["chat_history"][0]["content"]
    assert part == {"type": "input_audio", "bytes": 4, "sha256": SHA, "transcript": "Hello?"}
    assert answer["outputs"]["content"] == "Hello from the stub"


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["lost", "closed", "dropped"])
async def test_a_realtime_response_that_is_cut(tracing: ModelTracer, way: str) -> None:
    """The connection breaks, or the program leaves: the event has what came."""
    with answering(Realtime()) as place, tracing.session():
        async with openai_at(place, is_async=True) as client:
            connection = await client.realtime.connect(model="ok").enter()
            options = {"metadata": {"way": "cut"}} if way == "lost" else {}
            await connection.response.create(response=options)
            delta = "response.output_audio_transcript.delta"
            await until_async(connection, delta)
            if way == "lost":
                with pytest.raises(Exception, match="1011"):
                    await until_async(connection, "response.done")
            elif way == "closed":
                await connection.close()
            else:
                connection._connection.transport.abort()
                del connection
                await _settle()

    assert tracing.model["outputs"]["content"] == "Hello"
    if way == "lost":
        assert "1011" in tracing.model["error"]
    else:
        assert tracing.model["metadata"]["stream_end"] in ("closed", "dropped")


async def _settle() -> None:
    import asyncio

    for _ in range(3):
        await asyncio.sleep(0.01)
        gc.collect()


class Responses:
    """The server's side of ``responses.connect``."""

    def __call__(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if message["type"] != "response.create":
            return
        lane = {"stream_id": message["stream_id"]} if "stream_id" in message else {}
        if message["model"] == "bad":
            error = {"type": "invalid_request_error", "code": "bad", "message": "no luck"}
            yield {"type": "error", "status": 400, "error": error, **lane}
            return
        start = {"id": "resp_1", "object": "response", "model": "ok-2026", "output": []}
        yield {"type": "response.created", "response": start, **lane}
        item = {"type": "message", "id": "m", "role": "assistant", "content": []}
        place = {"output_index": 0, "content_index": 0, "item_id": "m", **lane}
        yield {"type": "response.output_item.added", "item": item, **place}
        yield {"type": "response.output_text.delta", "delta": "Hello", **place}
        part = {"type": "output_text", "text": "Hello", "annotations": []}
        usage = {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19}
        end = {**start, "status": "completed", "usage": usage}
        end["output"] = [{**item, "content": [part]}]
        yield {"type": "response.completed", "response": end, **lane}


@pytest.mark.asyncio
@pytest.mark.parametrize("is_async", [False, True])
async def test_responses_over_a_websocket(tracing: ModelTracer, is_async: bool) -> None:
    """Several responses on one connection: one event each, in the shape of HTTP; one refused."""
    with answering(Responses()) as place, tracing.session():
        client = openai_at(place, is_async=is_async)
        if not hasattr(client.responses, "connect"):
            return  # an older version
        request = {"input": "Hello?", "instructions": "Be kind"}
        if is_async:
            async with client.responses.connect() as connection:
                await connection.response.create(model="ok", **request)
                await until_async(connection, "response.completed")
                await connection.response.create(model="ok", **request)
                await until_async(connection, "response.completed")
                await connection.response.create(model="bad", **request)
                await until_async(connection, "error")
            await client.close()
        else:
            with client.responses.connect() as connection:
                connection.response.create(model="ok", **request)
                connection.response.create(model="ok", **request)
                until(connection, "response.completed")
                until(connection, "response.completed")
                connection.response.create(model="bad", **request)
                until(connection, "error")
            client.close()

    first, second, refused = tracing.events
    for event in (first, second):
        assert event["event_name"] == "chat ok"
        assert event["inputs"]["chat_history"][0] == {"role": "system", "content": "Be kind"}
        assert event["outputs"]["content"] == "Hello"
        assert event["metadata"]["total_tokens"] == 19
    assert refused["error"] == "no luck"


def test_lanes_of_a_session_are_read_by_a_thread_of_the_sdk(tracing: ModelTracer) -> None:
    """What the lanes interleave stays apart, and belongs to the span of the sender."""
    pytest.importorskip("openai", reason="the contract group is not installed")
    try:
        from openai.lib.responses_websocket import (
            ResponsesWebSocketLimits,
            ResponsesWebSocketSession,
        )
    except ImportError:
        return  # an older version
    with answering(Responses()) as place, tracing.session() as session:
        client = openai_at(place)
        with client.responses.connect() as connection:
            limits = ResponsesWebSocketLimits(4, 99, 99, 99_999, 99_999)
            with ResponsesWebSocketSession(connection, limits=limits) as lanes:
                one, two = lanes.lane("one"), lanes.lane("two")
                for lane in (one, two):
                    request = {"type": "response.create", "model": "ok", "input": "Hello?"}
                    lane.send(request)
                assert {lane.get_final_response(timeout=20).id for lane in (one, two)} == {"resp_1"}
        client.close()
        identifier = session.session_id

    assert [event["outputs"]["content"] for event in tracing.events] == ["Hello"] * 2
    assert {event["session_id"] for event in tracing.events} == {identifier}


def live(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The server's side of Gemini's live API."""
    if "setup" in message:
        yield {"setupComplete": {}}
        return
    usage = {"promptTokenCount": 12, "responseTokenCount": 4, "thoughtsTokenCount": 3}
    usage["totalTokenCount"] = 19
    content = message.get("client_content") or message.get("clientContent")
    text = content["turns"][0]["parts"][0]["text"] if content else ""
    if text == "Weather?":
        call = {"id": "c1", "name": "weather", "args": {"city": "Oslo"}}
        yield {"toolCall": {"functionCalls": [call]}, "usageMetadata": usage}
        return
    for word in ("Hello", " from the stub"):
        yield {"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": word}]}}}
    yield {"serverContent": {"turnComplete": True}, "usageMetadata": usage}


@pytest.mark.asyncio
async def test_gemini_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn of the model is one event: a call of a function, its answer, and sound."""
    genai = pytest.importorskip("google.genai", reason="the contract group is not installed")
    from google.genai import types

    with answering(live) as place, instrumented("google-genai", waiting=True) as tracing:
        client = genai.Client(api_key="k")
        api = client._api_client  # which knows TLS only
        monkeypatch.setattr(api, "_websocket_base_url", lambda *options: f"ws://{place}")
        monkeypatch.setattr(api, "_websocket_ssl_ctx", {})
        config = {"response_modalities": ["TEXT"], "system_instruction": "Be kind"}
        with tracing.session():
            async with client.aio.live.connect(model="ok", config=config) as session:
                turn = {"role": "user", "parts": [{"text": "Weather?"}]}
                await session.send_client_content(turns=turn, turn_complete=True)
                async for message in session.receive():
                    if message.tool_call:
                        break
                response = types.FunctionResponse(id="c1", name="weather", response={"t": 21})
                await session.send_tool_response(function_responses=[response])
                async for _ in session.receive():
                    pass
                sound = types.Blob(data=b"RIFF", mime_type="audio/pcm;rate=16000")
                await session.send_realtime_input(audio=sound)
                async for _ in session.receive():
                    pass
        await client.aio.aclose()
        client.close()

    call, answer, heard = tracing.events
    assert call["event_name"] == "chat ok"
    assert call["inputs"]["chat_history"][0] == {"role": "system", "content": "Be kind"}
    assert call["outputs"]["tool_calls"][0]["function"]["name"] == "weather"
    assert call["metadata"]["total_tokens"] == 19
    assert answer["inputs"]["chat_history"][-1]["role"] == "tool"
    assert answer["outputs"]["content"] == "Hello from the stub"
    assert (answer["metadata"]["completion_tokens"], answer["metadata"]["reasoning_tokens"]) == (
        7,
        3,
    )
    (media,) = heard["inputs"]["chat_history"][-1]["content"]
    assert (media["bytes"], media["sha256"]) == (4, SHA)


@pytest.mark.asyncio
async def test_other_websockets_are_left_alone(tracing: ModelTracer) -> None:
    """A program's own connections keep their class and make no events."""
    from websockets.asyncio.client import ClientConnection, connect

    with answering(lambda message: [message]) as place, tracing.session():
        async with connect(f"ws://{place}/chat") as connection:
            assert type(connection) is ClientConnection
            await connection.send('{"type": "response.create"}')
            assert await connection.recv() == '{"type": "response.create"}'

    assert tracing.events == []
