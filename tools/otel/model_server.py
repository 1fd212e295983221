"""The model that the application asks: an OpenAI-compatible server on this machine.

It asks for the tool where a question names a city, and streams the answer that ``facts`` has. It
runs on a thread of its own while its context is open.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facts import ANSWERS, QUESTIONS, USAGE

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from support.stubs import provider

__all__ = ["model_server"]

_CITY = re.compile(r"weather in (\w+)")


@contextmanager
def model_server() -> Iterator[str]:
    """The base URL of the model's API."""
    routes = {"/v1/chat/completions": _chat, "/v1/embeddings": _embed}
    with provider.serving(routes) as running:
        yield f"{running.url}/v1"


def _chat(body: dict[str, Any]) -> Any:
    question = next(entry["content"] for entry in body["messages"] if entry["role"] == "user")
    city = _CITY.search(question)
    if body.get("stream"):
        return _streamed(body, ANSWERS[QUESTIONS.index(question)])
    message: dict[str, Any] = {"role": "assistant", "content": None if city else "No tool needed."}
    if city:
        function = {"name": "weather", "arguments": json.dumps({"city": city[1]})}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    reason = "tool_calls" if city else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**_envelope(body, "chat.completion"), "choices": [choice], "usage": USAGE}


def _streamed(body: dict[str, Any], answer: str) -> Iterator[str]:
    envelope = _envelope(body, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return f"data: {json.dumps({**envelope, 'choices': [choice]})}\n\n"

    yield chunk({"role": "assistant", "content": ""})
    for word in re.findall(r"\S+\s*", answer):
        yield chunk({"content": word})
    yield chunk({}, "stop")
    yield f"data: {json.dumps({**envelope, 'choices': [], 'usage': USAGE})}\n\n"
    yield "data: [DONE]\n\n"


def _embed(body: dict[str, Any]) -> Any:
    vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "model": body["model"], "data": [vector], "usage": usage}


def _envelope(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 1,
        "model": f"{body['model']}-2024-07-18",
    }
