"""Mistral's chat completions: OpenAI's form, and blocks in the content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support.answers import openai_chat
from support.answers.case import Case, Wire, shared
from support.answers.openai_chat import STOPPED, reply, said

__all__ = ["WIRE"]

REFERENCE = {"type": "reference", "reference_ids": [1, 2]}
TITLES = ("text", "empty text", "two tool calls", "blocks", "two choices")
CASES = {
    **{title: openai_chat.CASES[title] for title in TITLES},
    "references": Case(
        reply(said(content=[{"type": "text", "text": "News"}, REFERENCE])),
        said(content="News", blocks=[REFERENCE]),
        STOPPED,
        [
            {
                **openai_chat.ENVELOPE,
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
                "usage": usage,
            }
            for delta, reason, usage in (
                ({"role": "assistant", "content": "Ne"}, None, None),
                ({"content": [{"type": "text", "text": "ws"}]}, None, None),
                ({"content": [REFERENCE]}, "stop", openai_chat.COUNTS),
            )
        ],
    ),
    "whole calls, all numbered 0": Case(
        None,
        said(tool_calls=openai_chat.TWO_CALLS),
        {"finish_reason": "tool_calls"},
        [
            {
                **openai_chat.ENVELOPE,
                "choices": [
                    {
                        "index": 0,
                        "delta": {"tool_calls": [dict(call) for call in openai_chat.TWO_CALLS]},
                        "finish_reason": "tool_calls",
                    }
                ],
            }
        ],
    ),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The stream of a whole answer: calls come whole, the last chunk has a reason and counts."""
    *stream, last = openai_chat.chunks(whole, size)
    stream[-1] = {**stream[-1], "usage": last["usage"]}
    calls = iter(whole["choices"][0]["message"].get("tool_calls", ()))
    mistrals = []
    for chunk in stream:
        delta = chunk["choices"][0]["delta"]
        if "tool_calls" in delta:
            if "id" not in delta["tool_calls"][0]:
                continue
            delta["tool_calls"] = [next(calls)]
        mistrals.append(chunk)
    return mistrals


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With the mistralai SDK."""
    import httpx2
    from mistralai.client import Mistral

    http = shared("httpx2", url, httpx2.Client)
    client = Mistral(api_key="k", server_url=url, client=http)
    asked: Any = {"model": "ok", "messages": [{"role": "user", "content": "Hello?"}]}
    if stream:
        with client.chat.stream(**asked) as events:
            yield from events
    else:
        client.chat.complete(**asked)


WIRE = Wire("mistralai.client", "mistralai", CASES, chunks, openai_chat.framed, ask)
