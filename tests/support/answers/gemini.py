"""Google's Gemini."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from support.answers.case import Case, Part, Wire, pieces, shared

__all__ = ["WIRE", "composed"]

USAGE = {
    "promptTokenCount": 8,
    "toolUsePromptTokenCount": 1,
    "cachedContentTokenCount": 5,
    "candidatesTokenCount": 1,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 13,
}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "cache_read_tokens": 5,
    "reasoning_tokens": 3,
}
STOPPED = {**COUNTS, "finish_reason": "STOP", "response_id": "r1", "response_model": "m-1"}


def candidate(*parts: Any, **fields: Any) -> dict[str, Any]:
    """One candidate."""
    content = {"role": "model", "parts": list(parts)}
    return {"index": 0, "content": content, "finishReason": "STOP", **fields}


def reply(*candidates: Any, **fields: Any) -> dict[str, Any]:
    """A whole answer."""
    return {
        "candidates": list(candidates),
        "usageMetadata": USAGE,
        "modelVersion": "m-1",
        "responseId": "r1",
        **fields,
    }


def answer(*parts: Any, **fields: Any) -> dict[str, Any]:
    """A whole answer with one candidate."""
    return reply(candidate(*parts, **fields))


def text(words: str, **fields: Any) -> dict[str, Any]:
    """A part that is a text."""
    return {"text": words, **fields}


def called(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    """A function call, as events have it."""
    function = {"name": name, "arguments": arguments}
    return {"id": None, "type": "function", "function": function, **fields}


def said(**fields: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": None, **fields}


CODE = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
OUTCOME = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}
GROUNDING = {"webSearchQueries": ["news"], "groundingChunks": [{"web": {"uri": "u"}}]}
RATINGS = [{"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "NEGLIGIBLE"}]


def partial(**fields: Any) -> dict[str, Any]:
    """One chunk of a call whose arguments are streamed, as Vertex does."""
    return {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": fields}]}}]}


CASES = {
    "text": Case(answer(text("Hello there")), said(content="Hello there"), STOPPED),
    "thoughts": Case(
        answer(text("let me think", thought=True), text("Four", thoughtSignature="sig1")),
        said(content="Four", reasoning="let me think", reasoning_signatures=["sig1"]),
        STOPPED,
    ),
    "two function calls": Case(
        answer(
            {
                "functionCall": {"name": "weather", "args": {"city": "Oslo"}},
                "thoughtSignature": "sig1",
            },
            {"functionCall": {"id": "t2", "name": "time", "args": {}}},
        ),
        said(
            tool_calls=[
                called("weather", {"city": "Oslo"}, thoughtSignature="sig1"),
                {**called("time", {}), "id": "t2"},
            ]
        ),
        STOPPED,
    ),
    "a function call in pieces": Case(
        None,
        said(
            tool_calls=[
                called("book", {"city": "New York", "nights": 2, "rooms": [{"beds": 1}]}),
                called("time", {}),
            ]
        ),
        STOPPED,
        [
            partial(name="book", willContinue=True),
            partial(partialArgs=[{"jsonPath": "$.city", "stringValue": "New "}], willContinue=True),
            partial(partialArgs=[{"jsonPath": "$.city", "stringValue": "York"}], willContinue=True),
            partial(
                partialArgs=[
                    {"jsonPath": "$.nights", "numberValue": 2},
                    {"jsonPath": "$.rooms[0].beds", "numberValue": 1},
                ],
                willContinue=True,
            ),
            partial(),
            answer({"functionCall": {"name": "time", "args": {}}}),
        ],
    ),
    "code that ran at the provider": Case(
        answer(text("Let me run it: "), CODE, OUTCOME, text("one")),
        said(content="Let me run it: one", parts=[CODE, OUTCOME]),
        STOPPED,
    ),
    "an image": Case(answer(text("Here: "), IMAGE), said(content="Here: ", parts=[IMAGE]), STOPPED),
    "sound in pieces": Case(
        answer({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "UklGRg=="}}),
        said(parts=[{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "UklGRg=="}}]),
        STOPPED,
        [
            answer({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}})
            for data in ("Ug==", "SUY=", "Rg==")
        ],
    ),
    "grounding, citations and ratings": Case(
        answer(
            text("News"),
            groundingMetadata=GROUNDING,
            citationMetadata={"citationSources": [{"uri": "u", "startIndex": 0}]},
            safetyRatings=RATINGS,
        ),
        said(
            content="News",
            groundingMetadata=GROUNDING,
            citationMetadata={"citationSources": [{"uri": "u", "startIndex": 0}]},
            safetyRatings=RATINGS,
        ),
        STOPPED,
    ),
    "citations that arrive one by one": Case(
        None,
        said(
            content="News of today",
            citationMetadata={"citationSources": [{"uri": "u"}, {"uri": "v"}]},
        ),
        STOPPED,
        [
            answer(
                text("News "),
                finishReason=None,
                citationMetadata={"citationSources": [{"uri": "u"}]},
            ),
            answer(
                text("of today"), citationMetadata={"citationSources": [{"uri": "u"}, {"uri": "v"}]}
            ),
        ],
    ),
    "two candidates": Case(
        reply(candidate(text("Hello")), candidate(text("Bye"), index=1, finishReason="MAX_TOKENS")),
        {"choices": [said(content="Hello"), said(content="Bye")]},
        {**COUNTS, "finish_reason": ["STOP", "MAX_TOKENS"]},
    ),
    "a blocked prompt": Case(
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 8}},
        said(promptFeedback={"blockReason": "SAFETY"}),
        {"prompt_tokens": 8, "finish_reason": "SAFETY", "stream_end": None},
    ),
    "a malformed call": Case(
        {
            "candidates": [
                {
                    "content": {},
                    "finishReason": "MALFORMED_FUNCTION_CALL",
                    "finishMessage": "print(weather('Oslo'))",
                }
            ]
        },
        said(finishMessage="print(weather('Oslo'))"),
        {"finish_reason": "MALFORMED_FUNCTION_CALL"},
    ),
    "logprobs": Case(
        answer(
            text("Hi"), logprobsResult={"chosenCandidates": [{"token": "Hi"}]}, avgLogprobs=-0.1
        ),
        said(content="Hi", avgLogprobs=-0.1),
        STOPPED,
    ),
    "Vertex's tier": Case(
        {**answer(text("Hi")), "usageMetadata": {**USAGE, "trafficType": "ON_DEMAND_FLEX"}},
        said(content="Hi"),
        {**STOPPED, "service_tier": "flex"},
    ),
    "unknown fields": Case(
        reply(candidate(text("Hi"), mood=1), later={"x": 1}),
        said(content="Hi", mood=1, later={"x": 1}),
        STOPPED,
    ),
    "a part of a new kind": Case(
        answer(text("Hi"), {"hologram": {"voxels": "v"}}),
        said(content="Hi", parts=[{"hologram": {"voxels": "v"}}]),
        STOPPED,
    ),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The chunks of a whole answer; each has usage, which grows."""
    envelope = {name: whole[name] for name in ("modelVersion", "responseId") if name in whole}
    ending = {name: value for name, value in whole.items() if name != "candidates"}
    stream: list[Any] = []
    for choice in whole.get("candidates", ()):
        place = {name: choice[name] for name in ("index",) if name in choice}
        for part in choice["content"].get("parts", ()):
            for piece in _part_pieces(part, size):
                content = {"role": "model", "parts": [piece]}
                stream.append({**envelope, "candidates": [{**place, "content": content}]})
    last = [{**choice, "content": {"role": "model"}} for choice in whole.get("candidates", ())]
    return [*stream, {**ending, "candidates": last} if last else ending]


def _part_pieces(part: Any, size: int) -> list[dict[str, Any]]:
    if "text" not in part:
        return [part]
    others = {name: value for name, value in part.items() if name == "thought"}
    stream = [{"text": piece, **others} for piece in pieces(part["text"], size)]
    if "thoughtSignature" in part:
        stream.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    return stream


def framed(stream: list[Any]) -> list[bytes]:
    """Server-sent events without names."""
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in stream]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With google-genai."""
    from google import genai

    make = functools.partial(genai.Client, api_key="k", http_options={"base_url": url})
    models = shared("google-genai", url, make).models
    if stream:
        yield from models.generate_content_stream(model="ok", contents="Hello?")
    else:
        models.generate_content(model="ok", contents="Hello?")


def composed(parts: list[Part]) -> Any:
    """The whole answer that says these parts."""
    contents = []
    for part in parts:
        if part.kind == "call":
            contents.append({"functionCall": {"name": part.name, "args": {"q": part.text}}})
        else:
            thought = {"thought": True} if part.kind == "reasoning" else {}
            contents.append(text(part.text, **thought))
    return answer(*contents)


WIRE = Wire("google.genai", "google-genai", CASES, chunks, framed, ask)
