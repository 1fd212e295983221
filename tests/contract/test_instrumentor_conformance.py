"""Our own instrumentors pass the suite that third parties are asked to run."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from support.mocked_sdk import client_of

from sessiontrace.conformance import instrumentor
from sessiontrace.instrumentation.libraries.openai import ENTRY

pytestmark = [pytest.mark.contract, pytest.mark.timeout(60)]

MESSAGES = [{"role": "user", "content": "Hello?"}]
CHUNKS = b"".join(
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text
    for text in (b"Hel", b"lo")
)


def answer(request: Any) -> dict[str, Any]:
    body = request.read()
    if b'"bad"' in body:
        return {"status_code": 400, "json": {"error": {"message": "no luck"}}}
    if b'"stream":true' in body:
        headers = {"content-type": "text/event-stream"}
        return {"content": CHUNKS + b"data: [DONE]\n\n", "headers": headers}
    message = {"role": "assistant", "content": "Hello"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"json": {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                     "choices": [choice]}}  # fmt: skip


def test_openai() -> None:
    """Whole and streamed answers, sync and async, and a refusal."""
    client = client_of("OpenAI", "openai", answer)
    later = client_of("AsyncOpenAI", "openai", answer)

    def ask(client: Any, model: str = "m", **options: Any) -> Any:
        return client.chat.completions.create(model=model, messages=MESSAGES, **options)

    results = instrumentor.run(
        instrumentor.Library(
            ENTRY.make,
            importlib.import_module(ENTRY.target),
            call=lambda: ask(client),
            call_async=lambda: ask(later),
            fail=lambda: ask(client, "bad"),
            stream=lambda: ask(client, stream=True),
            stream_async=lambda: ask(later, stream=True),
        )
    )
    client.close()
    assert all(result.passed for result in results), instrumentor.report(results)
