"""Instructor: answers that have to fit a type, with their attempts inside, each once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.openai_api import ROUTES
from support.stubs.provider import Provider, serving

pytest.importorskip("instructor", reason=f"instructor {OWN_ENVIRONMENT}")

import instructor
import openai
from instructor.core.hooks import Hooks
from pydantic import BaseModel

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

TREE = ["City", "City/chat m"]
MESSAGES = [{"role": "user", "content": "Which city?"}]


class City(BaseModel):
    """What the model has to answer."""

    name: str
    people: int


class Town(BaseModel):
    """A smaller one."""

    name: str


def answers(body: dict[str, Any]) -> Any:
    """Calls the tool, with an object that lacks a field at first when the model is "retry"."""
    chat, model = ROUTES["/v1/chat/completions"], body["model"]
    if model not in ("m", "retry", "stubborn"):
        return chat(body)
    town = any("people" not in json.dumps(tool) for tool in body["tools"])
    bad = model == "stubborn" or (model == "retry" and len(body["messages"]) == 1)
    value: Any = {"name": "Oslo"} if bad or town else {"name": "Oslo", "people": 700_000}
    if any("tasks" in json.dumps(tool) for tool in body["tools"]):
        value = {"tasks": [{"name": "Oslo"}, {"name": "Rome"}]}
    name = body["tools"][0]["function"]["name"]
    if body.get("stream"):
        return streamed(name, json.dumps(value))
    completion = chat({**body, "model": "tools"})
    (call,) = completion["choices"][0]["message"]["tool_calls"]
    call["function"] = {"name": name, "arguments": json.dumps(value)}
    return completion


def streamed(name: str, text: str) -> Iterator[str]:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-2026"}
    for start in range(0, len(text), 9):
        function = {"arguments": text[start : start + 9], **({"name": name} if not start else {})}
        call = {"index": 0, "function": function, **({"id": "call_1"} if not start else {})}
        delta = {"tool_calls": [{**call, "type": "function"}]}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        yield f"data: {json.dumps({**base, 'choices': [choice]})}\n\n"
    usage = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
    yield f"data: {json.dumps({**base, 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("instructor", "openai") as tracer:
        yield tracer


@pytest.fixture
def client(provider: Provider) -> Iterator[Any]:
    """A client of OpenAI that Instructor has patched."""
    with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0) as sdk:
        yield instructor.from_openai(sdk)


def ask(client: Any, model: str = "m", **options: Any) -> Any:
    options.setdefault("response_model", City)
    return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def test_an_answer_that_fits(tracing: ModelTracer, client: Any) -> None:
    """The type, the question and the object; the model's call is inside of it."""
    with tracing.session():
        city = ask(client)
        with tracing.span("after"):
            pass

    assert (type(city).__name__, city.name, city.people) == ("City", "Oslo", 700_000)
    assert tracing.paths == [*TREE, "after"]
    assert (tracing.tokens, tracing.failed) == (19, [])
    step = tracing.event("City")
    assert (step["event_type"], step["inputs"]) == ("chain", {"chat_history": MESSAGES})
    assert step["outputs"] == {"name": "Oslo", "people": 700_000}
    assert step["metadata"] == {"attempts": 1}
    assert step["config"]["response_model"] == "City"


def test_an_answer_that_fits_at_last(tracing: ModelTracer, client: Any) -> None:
    """Both attempts are inside; what was wrong is said, and is no error. Their hooks stay."""
    heard: list[str] = []
    hooks = Hooks()
    hooks.on("parse:error", lambda error, **options: heard.append(str(error)))
    with tracing.session():
        ask(client, "retry", max_retries=2, hooks=hooks)

    assert tracing.paths == ["City", "City/chat retry", "City/chat retry"]
    assert (tracing.tokens, tracing.failed) == (38, [])
    metadata = tracing.event("City")["metadata"]
    assert metadata["attempts"] == 2
    assert "people" in metadata["validation_errors"][0]
    assert len(heard) == 1


@pytest.mark.parametrize("model", ["stubborn", "status-400"])
def test_no_answer_that_fits(tracing: ModelTracer, client: Any, model: str) -> None:
    """The step fails; the model's call fails only where the provider refused it."""
    with tracing.session():
        with pytest.raises(Exception):  # noqa: B017
            ask(client, model, max_retries=1)
        with tracing.span("after"):
            pass

    assert tracing.failed == (["City"] if model == "stubborn" else ["chat status-400", "City"])
    assert tracing.event("City")["metadata"]["attempts"] == (2 if model == "stubborn" else 1)
    assert "after" in tracing.paths


def test_streams(tracing: ModelTracer, client: Any) -> None:
    """A partial object is its last state, an iterable all objects; the reader is outside."""
    usage = {"stream_options": {"include_usage": True}}
    completions = client.chat.completions
    with tracing.session():
        for _ in completions.create_partial(
            model="m", messages=MESSAGES, response_model=City, **usage
        ):
            with tracing.span("render"):
                pass
        for _ in completions.create_iterable(
            model="m", messages=MESSAGES, response_model=Town, **usage
        ):
            with tracing.span("render"):
                pass

    names = {path.rpartition("/")[0] for path in tracing.paths if path.endswith("chat m")}
    partial, iterable = sorted(names, key=lambda name: "City" not in name)
    assert {path for path in tracing.paths if "render" in path} == {"render"}
    assert tracing.event(partial)["outputs"] == {"name": "Oslo", "people": 700_000}
    objects = [{"name": "Oslo"}, {"name": "Rome"}]
    assert tracing.event(iterable)["outputs"] == {"result": objects}
    assert (len(tracing.models), tracing.tokens, tracing.failed) == (2, 38, [])


def test_an_async_stream(tracing: ModelTracer, provider: Provider) -> None:
    """Its reader is outside, and its last state is the output; one that is left is no failure."""

    async def read() -> None:
        async with openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k") as sdk:
            completions = instructor.from_openai(sdk).chat.completions
            for stops in (False, True):
                stream = completions.create_partial(
                    model="m", messages=MESSAGES, response_model=City
                )
                async for _ in stream:
                    with tracing.span("render"):
                        pass
                    if stops:
                        break
                await stream.aclose()

    with tracing.session():
        asyncio.run(read())

    steps = [event for event in tracing.events if "City" in event["event_name"]]
    assert {path for path in tracing.paths if "render" in path} == {"render"}
    assert {"name": "Oslo", "people": 700_000} in [event["outputs"] for event in steps]
    assert (len(steps), tracing.failed) == (2, [])


def test_async_and_two_users_at_once(tracing: ModelTracer, provider: Provider) -> None:
    """Each session has the one step of its own user, and a plain call is its model event."""

    async def both() -> None:
        url = f"{provider.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as sdk:
            client = instructor.from_openai(sdk)

            async def one(user: str) -> None:
                async with tracing.session(user=user):
                    await ask(client)

            await asyncio.gather(*(one(f"user{number}") for number in range(3)))
            async with tracing.session():
                await ask(client, "ok", response_model=None)

    asyncio.run(both())

    by_session: dict[str, list[str]] = {}
    for event in tracing.events:
        by_session.setdefault(event["session_id"], []).append(event["event_name"])
    assert sorted(map(sorted, by_session.values())) == [*[["City", "chat m"]] * 3, ["chat ok"]]
    assert tracing.failed == []


def test_uninstrument(client: Any) -> None:
    """Nothing is recorded afterwards, and the client goes on."""
    with instrumented("instructor") as tracing:
        pass
    with tracing.session():
        assert ask(client).name == "Oslo"

    assert tracing.events == []
