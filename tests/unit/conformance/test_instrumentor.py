"""The suite for instrumentors: a good one passes, and each kind of fault is found."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.extending import blocks_of

from sessiontrace.conformance import instrumentor
from sessiontrace.conformance.instrumentor import Library
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)

REPO = Path(__file__).resolve().parents[3]


class Client:
    """A library as others write it."""

    def complete(self, question: str) -> dict[str, str]:
        if not question:
            raise ValueError("no question")
        return {"content": "Hello"}

    async def complete_later(self, question: str) -> dict[str, str]:
        return {"content": "Hello"}

    def stream(self, question: str) -> Iterator[str]:
        yield from ("Hel", "lo")

    async def stream_later(self, question: str) -> AsyncIterator[str]:
        for chunk in ("Hel", "lo"):
            yield chunk


MODULE = ModuleType("chatlib")
MODULE.Client = Client  # type: ignore[attr-defined]


class Good:
    """The template of docs/extending/library.md, for this client."""

    def __init__(self) -> None:
        self._methods = ModelMethods("chatlib")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        self._methods.start(calls)
        adapter = MethodAdapter(
            lambda client, args, kwargs: ModelCallArgs("chat", "m", {"question": args[0]}, {}),
            lambda result: Answer({"answer": result}, {}),
        )
        for name in ("complete", "complete_later", "stream", "stream_later"):
            self._methods.patch(module.Client, name, adapter)

    def uninstall(self) -> None:
        self._methods.stop()


class Naive:
    """Patches as people do at first: a new wrapper at each install, and no way back.

    ``flaw``: what it gets wrong besides.
    """

    flaw = ""

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        original, flaw = module.Client.complete, self.flaw

        @functools.wraps(original)
        def complete(client: Any, question: str) -> Any:
            span = calls.open("chat", "model", inputs={"question": question})
            if span is None:
                return original(client, question)
            try:
                answer = original(client, question)
            except ValueError as error:
                span.end(error=None if flaw == "no error" else error)
                if flaw == "swallows":
                    return None
                raise
            if flaw != "left open":
                span.end(outputs=answer)
            return {**answer, "traced": True} if flaw == "changes" else answer

        self._client, self._original = module.Client, original
        module.Client.complete = complete

    def uninstall(self) -> None:
        while hasattr(self._client.complete, "__wrapped__"):
            self._client.complete = self._client.complete.__wrapped__


def library(make: Any) -> Library:
    client = Client()
    return Library(
        make,
        MODULE,
        call=lambda: client.complete("why?"),
        call_async=lambda: client.complete_later("why?") if make is Good else _none(),
        fail=lambda: client.complete(""),
        stream=(lambda: client.stream("why?")) if make is Good else None,
        stream_async=(lambda: client.stream_later("why?")) if make is Good else None,
    )


async def _none() -> None:
    return None


def failures(make: Any) -> set[str]:
    subject = library(make)
    if make is not Good:
        subject.call_async = None
    return {result.name for result in instrumentor.run(subject) if not result.passed}


def test_a_good_instrumentor_passes_every_check_and_leaves_the_library_as_it_was() -> None:
    """Built from the package's own parts, as the guide does."""
    before = dict(vars(Client))
    results = instrumentor.run(library(Good))
    assert all(result.passed for result in results), instrumentor.report(results)
    assert dict(vars(Client)) == before


@pytest.mark.parametrize(
    ("flaw", "name"),
    [
        ("", "a second install records once"),
        ("", "a fault of ours does not reach the program"),
        ("changes", "a call gives what it gives without us"),
        ("left open", "a call is one event below the current span"),
        ("left open", "what follows a call is beside it"),
        ("swallows", "an exception passes and is recorded once"),
        ("no error", "an exception passes and is recorded once"),
    ],
)
def test_a_fault_is_found(flaw: str, name: str) -> None:
    """Each by the check that is about it."""
    make = type("Flawed", (Naive,), {"flaw": flaw})
    assert name in failures(make)


def test_an_unknown_type_is_an_error_that_says_what_to_do() -> None:
    """Before any check runs."""
    subject = library(Good)
    subject.type = "thing"
    with pytest.raises(ValueError, match="one of chain, model"):
        instrumentor.run(subject)


def test_the_template_of_the_guide_passes_its_own_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word by word: the module and the test of docs/extending/instrumentor.md."""
    blocks = blocks_of(REPO / "docs" / "extending" / "instrumentor.md")
    for name in ("chatlib_tracing.py", "test_chatlib_tracing.py"):
        (tmp_path / name).write_text(blocks[name])
    (tmp_path / "chatlib.py").write_text(
        "class Client:\n"
        "    def complete(self, question):\n"
        "        if not question:\n"
        "            raise ValueError('no question')\n"
        "        return 'Hello'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("chatlib", "chatlib_tracing", "test_chatlib_tracing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.import_module("test_chatlib_tracing").test_the_instrumentor_breaks_nothing()
