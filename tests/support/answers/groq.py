"""Groq's chat completions: OpenAI's form, the counts of a stream in a field of Groq's own."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from support.answers import openai_chat
from support.answers.case import Case, Wire, shared

__all__ = ["WIRE"]

TITLES = (
    "text",
    "two tool calls",
    "reasoning of OpenRouter",
    "tools that ran at the provider",
    "cached and reasoning tokens",
    "logprobs",
    "unknown fields",
)
CASES = {
    **{title: openai_chat.CASES[title] for title in TITLES},
    "a stream that Groq stops": Case(
        None,
        openai_chat.said(content="Hel"),
        {"response_error": "over capacity"},
        [
            {
                **openai_chat.ENVELOPE,
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
                **fields,
            }
            for delta, reason, fields in (
                ({"role": "assistant", "content": "Hel"}, None, {"x_groq": {"id": "req_1"}}),
                ({}, "error", {"x_groq": {"error": "over capacity"}}),
            )
        ],
    ),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The stream of a whole answer."""
    *stream, last = openai_chat.chunks(whole, size)
    last["x_groq"] = {"id": "req_1", "usage": last.pop("usage")}
    return [*stream, last]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With the groq SDK."""
    import groq

    make = functools.partial(groq.Groq, base_url=url, api_key="k", max_retries=0)
    client = shared("groq", url, make)
    asked: Any = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
    result: Any = client.chat.completions.create(**asked, stream=stream)
    if stream:
        with result:
            yield from result


WIRE = Wire("groq", "groq", CASES, chunks, openai_chat.framed, ask)
