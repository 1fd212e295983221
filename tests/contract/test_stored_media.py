"""What the providers' own libraries send and return as media waits whole for a local store."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import instrumented
from support.mocked_sdk import client_of

from sessiontrace.capture.encoding.media import key_of, waiting_content
from sessiontrace.capture.encoding.media_buffer import BUFFER

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

PNG = b"\x89PNG\r\n\x1a\n" + os.urandom(3_000)
WAV = b"RIFF\0\0\0\0WAVE" + os.urandom(3_000)
PDF = b"%PDF-1.7\n" + os.urandom(2 << 20)  # longer than what is hashed at once


@pytest.fixture(autouse=True)
def store_is_open() -> Iterator[None]:
    """As while a tracer with a local destination runs."""
    BUFFER.open(16 << 20)
    yield
    BUFFER.close(16 << 20)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def waiting(value: Any) -> Iterator[bytes]:
    """The bytes of the media that a record describes."""
    if isinstance(value, dict):
        if "sha256" in value or "sha256_of_head" in value:
            chunks = waiting_content(key_of(value))
            yield b"" if chunks is None else b"".join(chunks)
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from waiting(item)


def test_parts_of_openai_s_messages_wait_whole() -> None:
    """A picture as a data URL, a sound, and a document; the answer is a sound as well."""
    answered = {"id": "a", "data": encoded(WAV), "transcript": "Yes.", "expires_at": 1}
    message = {"role": "assistant", "content": None, "audio": answered}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded(PNG)}"}},
        {"type": "input_audio", "input_audio": {"data": encoded(WAV), "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf",
                                  "file_data": f"data:application/pdf;base64,{encoded(PDF)}"}},
    ]  # fmt: skip
    with instrumented("openai", waiting=True) as tracing:
        client = client_of(
            "OpenAI", "openai", lambda request: {"json": {**whole, "choices": [choice]}}
        )
        with tracing.session():
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": content}]
            )
        client.close()
        (event,) = tracing.events
        assert list(waiting(event["inputs"])) == [PNG, WAV, PDF]
        assert list(waiting(event["outputs"])) == [WAV]


def test_speech_waits_whole_however_it_is_read() -> None:
    """The pieces of a streamed body are one medium."""
    with instrumented("openai", waiting=True) as tracing:
        client = client_of(
            "OpenAI", "openai",
            lambda request: {"content": WAV, "headers": {"content-type": "audio/wav"}},
        )  # fmt: skip
        request: Any = {"model": "tts", "voice": "v", "input": "Hi"}
        with tracing.session():
            client.audio.speech.create(**request)
            with client.audio.speech.with_streaming_response.create(**request) as response:
                list(response.iter_bytes(1_000))
        client.close()
        assert [list(waiting(event["outputs"])) for event in tracing.events] == [[WAV], [WAV]]


def test_parts_of_anthropic_s_messages_wait_whole() -> None:
    """Bare base64 beside its type, in the message and in the result of a tool."""
    answer = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "A cat."}],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    picture = {"type": "base64", "media_type": "image/png", "data": encoded(PNG)}
    document = {"type": "base64", "media_type": "application/pdf", "data": encoded(PDF)}
    result = {"type": "tool_result", "tool_use_id": "t",
              "content": [{"type": "image", "source": picture}]}  # fmt: skip
    content = [{"type": "image", "source": picture}, {"type": "document", "source": document},
               result]  # fmt: skip
    with instrumented("anthropic", waiting=True) as tracing:
        client = client_of("Anthropic", "anthropic", lambda request: {"json": answer})
        with tracing.session():
            client.messages.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": content}]
            )
        client.close()
        (event,) = tracing.events
        assert list(waiting(event["inputs"])) == [PNG, PDF, PNG]
