"""Every answer whole: what a provider replies, and the record of it, through its real client."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from support.answers import (
    anthropic,
    cohere,
    converse,
    gemini,
    groq,
    invoke_model,
    mistral,
    ollama,
    openai_chat,
    openai_responses,
)
from support.answers.case import Case, Wire, close_clients, is_prefix
from support.instrumented import instrumented
from support.stubs.provider import Provider, serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

WIRES: dict[str, Wire] = {
    "chat completions": openai_chat.WIRE,
    "responses": openai_responses.WIRE,
    "anthropic": anthropic.WIRE,
    "gemini": gemini.WIRE,
    "converse": converse.WIRE,
    "invoke model": invoke_model.WIRE,
    "cohere": cohere.WIRE,
    "mistral": mistral.WIRE,
    "ollama": ollama.WIRE,
    "groq": groq.WIRE,
}
CASES = [
    pytest.param(wire, case, id=f"{name}: {title}")
    for name, wire in WIRES.items()
    for title, case in wire.cases.items()
]
WHOLE = [param for param in CASES if param.values[1].reply is not None]
STREAMED = [param for param in CASES if param.values[1].chunks != []]


class Script(dict[str, Any]):
    """Routes that all give one reply."""

    reply: Any = None

    def __missing__(self, path: str) -> Any:
        return lambda body: self.reply


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A server whose next reply a test chooses."""
    with serving(Script()) as server:
        yield server
        close_clients()


@contextmanager
def asked(
    wire: Wire, provider: Provider, reply: Any, *, logprobs: bool | None = None
) -> Iterator[Any]:
    """The library instrumented, and the provider with its reply."""
    pytest.importorskip(wire.library, reason="the contract group is not installed")
    importlib.import_module(wire.library)
    provider.headers = wire.headers
    provider.routes.reply = reply  # type: ignore[attr-defined]
    with instrumented(wire.instrumentor, waiting=True, logprobs=logprobs) as tracing:
        with tracing.session():
            yield tracing


def stream_of(wire: Wire, case: Case) -> list[Any]:
    return wire.chunks(case.reply, 3) if case.chunks is None else case.chunks


def check(event: Any, case: Case) -> None:
    """The record is the golden one."""
    assert event["outputs"] == case.outputs
    assert {name: event["metadata"].get(name) for name in case.metadata} == case.metadata
    assert not [name for name in event["metadata"] if name.startswith("unread")]


@pytest.mark.parametrize(("wire", "case"), WHOLE)
def test_a_whole_answer_is_recorded(wire: Wire, case: Case, provider: Provider) -> None:
    """Its outputs, its counts, and why it ended."""
    with asked(wire, provider, case.reply) as tracing:
        assert list(wire.ask(provider.url, False)) == []

    check(tracing.model, case)


@pytest.mark.parametrize(("wire", "case"), STREAMED)
def test_a_streamed_answer_has_the_same_record(wire: Wire, case: Case, provider: Provider) -> None:
    """However many pieces it comes in."""
    with asked(wire, provider, iter(wire.framed(stream_of(wire, case)))) as tracing:
        assert list(wire.ask(provider.url, True))

    check(tracing.model, case)


LOGPROBS = [pytest.param(wire, id=name) for name, wire in WIRES.items() if "logprobs" in wire.cases]


@pytest.mark.parametrize("wire", LOGPROBS)
def test_logprobs_are_recorded_by_option(wire: Wire, provider: Provider) -> None:
    """Whole and streamed, every one of them, and the rest of the answer as without the option."""
    case = wire.cases["logprobs"]
    for reply, stream in ((case.reply, False), (iter(wire.framed(stream_of(wire, case))), True)):
        with asked(wire, provider, reply, logprobs=True) as tracing:
            list(wire.ask(provider.url, stream))
        outputs = tracing.model["outputs"]
        assert "Hi" in str(outputs.pop("logprobs"))
        assert outputs == case.outputs


PROVIDERS = [pytest.param(wire, id=name) for name, wire in WIRES.items()]


def longest(wire: Wire) -> Case:
    """The case with the most chunks."""
    return max(wire.cases.values(), key=lambda case: len(stream_of(wire, case)))


@pytest.mark.parametrize("wire", PROVIDERS)
def test_a_stream_that_its_reader_leaves_is_recorded_so_far(wire: Wire, provider: Provider) -> None:
    """After every chunk: what had come is in the record, and more of it with each chunk."""
    case = longest(wire)
    frames = wire.framed(stream_of(wire, case))
    before: Any = {}
    for count in range(1, len(frames) + 1):
        with asked(wire, provider, iter(frames)) as tracing:
            stream = wire.ask(provider.url, True)
            read = [chunk for _, chunk in zip(range(count), stream, strict=False)]
            stream.close()
        outputs = tracing.model["outputs"]
        assert is_prefix(outputs, case.outputs), count
        assert is_prefix(before, outputs), count
        assert tracing.model["metrics"]["chunks"] == len(read)
        before = outputs
    assert before == case.outputs


@pytest.mark.parametrize("wire", PROVIDERS)
def test_a_stream_whose_connection_breaks_keeps_what_had_come(
    wire: Wire, provider: Provider
) -> None:
    """The error is the library's own, and the event has both."""
    case = next(case for title, case in wire.cases.items() if "text" in title)
    frames = wire.framed(stream_of(wire, case))
    middle = len(frames) // 2 + 1
    with asked(wire, provider, iter([*frames[:middle], None])) as tracing:
        with pytest.raises(Exception) as failure:
            list(wire.ask(provider.url, True))

    event = tracing.model
    assert type(failure.value).__name__ in event["error"]
    assert event["outputs"]["content"]
    assert is_prefix(event["outputs"], case.outputs)


@pytest.mark.parametrize("wire", PROVIDERS)
def test_a_stream_that_the_provider_never_finishes_is_cut(wire: Wire, provider: Provider) -> None:
    """It ends as if it were complete, and the event says that it is not."""
    case = next(case for title, case in wire.cases.items() if "text" in title)
    frames = wire.framed(stream_of(wire, case))
    with asked(wire, provider, iter(frames[: len(frames) // 2 + 1])) as tracing:
        list(wire.ask(provider.url, True))

    event = tracing.model
    assert event["metadata"]["stream_end"] == "cut"
    assert event["outputs"]["content"]
    assert is_prefix(event["outputs"], case.outputs)
    assert "finish_reason" not in event["metadata"]


UNPARSABLE = [param for param in PROVIDERS if param.id != "converse"]  # botocore drops the page
PAGE = "<html>Please sign in</html>"


@pytest.mark.parametrize("wire", UNPARSABLE)
def test_a_page_in_place_of_an_answer_is_kept(wire: Wire, provider: Provider) -> None:
    """Such as the page of a proxy with status 200, whatever the library makes of it."""
    with asked(wire, provider, iter([PAGE.encode()])) as tracing:
        with suppress(Exception):
            list(wire.ask(provider.url, False))

    assert tracing.model["outputs"] == {"body": PAGE}


STRICT: list[Any] = [
    pytest.param(
        mistral.WIRE,
        {**mistral.CASES["text"].reply, "created": "yesterday"},
        mistral.CASES["text"],
        id="mistral",
    ),
    pytest.param(
        ollama.WIRE,
        {**ollama.CASES["text"].reply, "eval_duration": "long"},
        ollama.CASES["text"],
        id="ollama",
    ),
]


@pytest.mark.parametrize(("wire", "reply", "case"), STRICT)
def test_an_answer_that_the_library_refuses_is_recorded(
    wire: Wire, reply: Any, case: Case, provider: Provider
) -> None:
    """A field of another type than its client expects fails the call; the answer was paid for."""
    with asked(wire, provider, reply) as tracing:
        with pytest.raises(Exception, match="validation"):
            list(wire.ask(provider.url, False))

    assert "Error" in tracing.model["error"]
    check(tracing.model, case)
