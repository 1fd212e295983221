"""openai's images, sound, compaction and decisions: whole, streamed, raw and cut."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import struct
from typing import Any

import pytest
from support.instrumented import instrumented
from support.mocked_sdk import client_of

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

SENT = {
    "field": "image",
    "name": "a.png",
    "media_type": "application/octet-stream",
    "bytes": 3,
    "sha256": hashlib.sha256(b"PNG").hexdigest(),
}
PNG = base64.b64encode(b"\x89PNG\r\n" + bytes(2000)).decode()
SPEECH_EVENTS = (
    b'data: {"type": "speech.audio.delta", "audio": "UklGRg=="}\n\n'
    b'data: {"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 4,'
    b' "total_tokens": 7}}\n\n'
)


def openai_client(answer: Any, *, is_async: bool = False) -> Any:
    """A client of openai whose requests ``answer`` answers."""
    return client_of("AsyncOpenAI" if is_async else "OpenAI", "openai", answer)


def image_stream(kind: str, *, is_cut: bool = False) -> bytes:
    """A stream of one partial image and, unless it is cut, the whole one."""
    common = {"b64_json": PNG, "created_at": 1, "size": "1x1", "quality": "low"}
    common |= {"background": "auto", "output_format": "png"}
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    usage["input_tokens_details"] = {"image_tokens": 0, "text_tokens": 3}  # type: ignore[assignment]
    events = [{"type": f"{kind}.partial_image", "partial_image_index": 0, **common}]
    if not is_cut:
        events.append({"type": f"{kind}.completed", "usage": usage, **common})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def test_image_edits_and_variations_whole_and_streamed() -> None:
    """The images that come are recorded, and those that were sent, both by digest."""
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    whole = {"created": 1, "data": [{"b64_json": PNG}], "usage": usage, "size": "1x1"}

    def answer(request: Any) -> dict[str, Any]:
        if b"stream" not in request.content:
            return {"json": whole}
        is_edit = request.url.path.endswith("/edits")
        kind = "image_edit" if is_edit else "image_generation"
        body = image_stream(kind, is_cut=b"model-cut" in request.content)
        return {"content": body, "headers": {"content-type": "text/event-stream"}}

    with instrumented("openai", waiting=True) as tracing:
        client = openai_client(answer)
        images = client.images
        with tracing.session():
            images.edit(model="m", image=("a.png", b"PNG"), prompt="A cat")
            images.create_variation(model="m", image=("a.png", b"PNG"))
            list(images.edit(model="m", image=("a.png", b"PNG"), prompt="A cat", stream=True))
            list(images.generate(model="m", prompt="A cat", stream=True))
            list(images.generate(model="model-cut", prompt="A cat", stream=True))
        client.close()

    edit, variation, streamed_edit, streamed, cut = tracing.events
    assert edit["inputs"]["files"] == [SENT]
    assert variation["event_name"] == "images m"
    for event in (edit, variation, streamed_edit, streamed):
        assert event["outputs"]["images"] == edit["outputs"]["images"]
        assert PNG not in json.dumps(event["outputs"])
        assert event["outputs"]["size"] == "1x1"
        assert event["metadata"]["total_tokens"] == 7
    assert hashlib.sha256(base64.b64decode(PNG)).hexdigest() in json.dumps(edit["outputs"])
    assert cut["outputs"]["images"][0]["partial_image_index"] == 0
    assert cut["metadata"]["stream_end"] == "cut"


@pytest.mark.parametrize("way", ["bytes", "file", "events", "raw"])
def test_speech_that_is_streamed(way: str, tmp_path: Any) -> None:
    """However the body is read, the sound is recorded by digest and size."""
    body, media_type = b"RIFF", "audio/wav"
    if way == "events":
        body, media_type = SPEECH_EVENTS, "text/event-stream"

    def answer(request: Any) -> dict[str, Any]:
        return {"content": body, "headers": {"content-type": media_type}}

    with instrumented("openai", waiting=True) as tracing:
        client = openai_client(answer)
        speech, request = client.audio.speech, {"model": "tts", "voice": "v", "input": "Hi"}
        with tracing.session():
            if way == "raw":
                assert speech.with_raw_response.create(**request).content == b"RIFF"
            else:
                with speech.with_streaming_response.create(**request) as response:
                    if way == "file":
                        response.stream_to_file(tmp_path / "a.wav")
                    else:
                        assert b"".join(response.iter_bytes(3)) == body
        client.close()

    audio = tracing.model["outputs"]["audio"]
    assert (audio["bytes"], audio["sha256"]) == (4, hashlib.sha256(b"RIFF").hexdigest())
    assert tracing.model["metadata"].get("total_tokens") == (7 if way == "events" else None)


TRANSCRIPT_EVENTS = [
    {"type": "transcript.text.delta", "delta": "Hel"},
    {"type": "transcript.text.segment", "id": "s", "start": 0, "end": 1, "speaker": "A"}
    | {"text": "Hello"},
    {"type": "transcript.text.done", "text": "Hello"}
    | {"usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 1, "total_tokens": 6}},
]


@pytest.mark.asyncio
async def test_transcriptions_streamed_and_as_text() -> None:
    """Streamed, cut, as plain text, and raw: the text is the output."""

    def answer(request: Any) -> dict[str, Any]:
        if b"stream" not in request.content:
            return {"text": "Hello", "headers": {"content-type": "text/plain"}}
        events = TRANSCRIPT_EVENTS[: 2 if b"model-cut" in request.content else 3]
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        return {"text": body, "headers": {"content-type": "text/event-stream"}}

    file = ("a.wav", b"RIFF")
    with instrumented("openai", waiting=True) as tracing:
        client = openai_client(answer, is_async=True)
        sound = client.audio
        with tracing.session():
            async for _ in await sound.transcriptions.create(model="m", file=file, stream=True):
                pass
            async for _ in await sound.transcriptions.create(
                model="model-cut", file=file, stream=True
            ):
                pass
            text = {"model": "m", "file": file, "response_format": "text"}
            assert await sound.transcriptions.create(**text) == "Hello"
            await sound.transcriptions.with_raw_response.create(**text)
            await sound.translations.create(**text)
        await client.close()

    streamed, cut, *texts = tracing.events
    assert streamed["outputs"]["text"] == "Hello"
    assert streamed["outputs"]["segments"][0]["speaker"] == "A"
    assert streamed["metadata"]["total_tokens"] == 6
    assert (cut["outputs"]["text"], cut["metadata"]["stream_end"]) == ("Hel", "cut")
    assert [event["outputs"] for event in texts] == [{"text": "Hello"}] * 3


def test_openai_beta_responses_compaction_and_decisions() -> None:
    """A path with a query is the same endpoint; compaction and decisions are calls of a model."""
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    message["content"] = [{"type": "output_text", "text": "Hi", "annotations": []}]  # type: ignore[assignment]
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    response = {"id": "r", "object": "response", "model": "m", "status": "completed"}
    response |= {"output": [message], "usage": usage, "created_at": 1}  # type: ignore[dict-item]
    answers = [{"name": "good", "type": "predicate", "probability": 0.9}]

    def answer(request: Any) -> dict[str, Any]:
        body: dict[str, Any] = response
        if request.url.path.endswith("/decisions"):
            body = {"id": "d", "model": "m", "answers": answers, "usage": usage}
        return {"json": body}

    with instrumented("openai", waiting=True) as tracing:
        client = openai_client(answer)
        with tracing.session():
            if hasattr(client.beta, "responses"):
                client.beta.responses.create(model="m", input="q")
            if hasattr(client.responses, "compact"):
                client.responses.compact(model="m", input="q")
            if hasattr(client, "decisions"):
                questions = [{"type": "predicate", "question": "Good?"}]
                client.decisions.create(model="m", input="q", questions=questions)
        client.close()

    by_name = {event["event_name"]: event for event in tracing.events}
    if "chat m" in by_name:
        assert by_name["chat m"]["outputs"]["content"] == "Hi"
    if "compaction m" in by_name:
        assert by_name["compaction m"]["metadata"]["total_tokens"] == 3
    if "decisions m" in by_name:
        assert by_name["decisions m"]["outputs"]["answers"] == answers
    assert by_name or openai_is_old()


def openai_is_old() -> bool:
    """Whether this openai has none of those surfaces."""
    return int(importlib.metadata.version("openai").partition(".")[0]) < 3


def test_vectors_in_base64_are_counted_and_paths_are_not_recorded() -> None:
    """The length of a vector is known in either encoding; a file has its name only."""
    vector = base64.b64encode(struct.pack("3f", 1, 2, 3)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    body = {"object": "list", "model": "m", "data": data, "text": "Hello"}
    body |= {"usage": {"prompt_tokens": 1, "total_tokens": 1}}
    with instrumented("openai", waiting=True) as tracing:
        client = openai_client(lambda request: {"json": body})
        with tracing.session(), open(__file__, "rb") as file:
            client.embeddings.create(model="m", input="a")
            client.embeddings.with_raw_response.create(model="m", input="a")
            client.audio.transcriptions.create(model="m", file=file)
        client.close()

    parsed, raw, transcription = tracing.events
    assert parsed["outputs"] == raw["outputs"] == {"embeddings": 1, "dimensions": 3}
    assert transcription["inputs"]["files"] == [
        {"field": "file", "name": "test_instrument_media.py"}
    ]
