"""Handles that record nothing: the no-op, spans of other processes, suppressed scopes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from support.recording_tracer import Captured

from sessiontrace.capture.handle import ENDED, Handle, ImplicitSession, SessionHandle
from sessiontrace.capture.non_recording import RemoteSpan, SuppressedScope
from sessiontrace.capture.noop import NOOP
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.streams.stream import watch
from sessiontrace.model.ids import new_id


@pytest.fixture
def captured() -> Captured:
    return Captured()


def remote(captured: Captured) -> RemoteSpan:
    return RemoteSpan(captured.recorder, new_id(), new_id(), sampled=True)


def test_the_no_op_has_every_public_name_of_a_handle() -> None:
    """Code written against a live span runs unchanged when nothing is traced."""
    api = {"end", "event_id", "name", "session_id", "set", "source", "type"}
    of_package = {*dir(Handle), *dir(ImplicitSession), *SessionHandle.__annotations__} - api
    of_package |= Handle.__annotations__.keys() - api
    public = {name for kind in (Span, Session) for name in dir(kind) if not name.startswith("_")}
    assert api <= public
    assert public - of_package <= set(dir(NOOP))
    assert not NOOP
    assert NOOP.set(outputs=1, metadata={}) is NOOP
    NOOP.end(outputs=1)
    with NOOP as handle:
        assert handle is NOOP
    assert repr(NOOP) == "<sessiontrace no-op>"


def test_a_scope_takes_every_call_of_a_handle_and_keeps_nothing(captured: Captured) -> None:
    """What the package asks of the current handle, it may ask of a scope."""
    scope: SessionHandle = remote(captured)
    with scope:
        assert captured.current.get() is scope
        assert scope.set(inputs=1, metadata={"a": 1}) is scope
        scope.merge("metadata", {"a": 1})
        scope.merge_stream({"outputs": b"{}"}, replace=True)
        scope.set_error("failed")
        assert scope.field_group("metadata") is None
    assert captured.current.get() is None
    scope.end_with("late")
    assert scope.state == ENDED
    assert captured.records == []


def test_a_scope_left_out_of_order_leaves_the_current_span_alone(captured: Captured) -> None:
    """Only a scope that is current restores what was current before."""
    scope = remote(captured).__enter__()
    inner = captured.span().__enter__()
    scope.end()
    assert captured.current.get() is inner
    inner.end()


def test_a_stream_read_inside_a_remote_span_passes_through(captured: Captured) -> None:
    """Its metrics have no event of this process to go to."""
    with remote(captured):
        assert list(watch(captured.recorder, iter("ab"))) == ["a", "b"]
    assert captured.records == []


@pytest.mark.parametrize("kind", ["plain", "generator", "async", "async generator"])
def test_a_suppressed_function_of_every_kind_is_silent(captured: Captured, kind: str) -> None:
    """As a decorator the scope lasts as long as the call, or as the generator is read."""
    suppressed = SuppressedScope(captured.recorder)

    @suppressed
    def plain() -> list[int]:
        with captured.session(), captured.span():
            return [1]

    @suppressed
    def generator() -> Iterator[int]:
        with captured.session(), captured.span():
            yield 1

    @suppressed
    async def coroutine() -> list[int]:
        with captured.session(), captured.span():
            return [1]

    @suppressed
    async def asyncgen() -> AsyncIterator[int]:
        with captured.session(), captured.span():
            yield 1

    async def read() -> list[int]:
        return [item async for item in asyncgen()]

    items = {
        "plain": plain,
        "generator": lambda: list(generator()),
        "async": lambda: asyncio.run(coroutine()),
        "async generator": lambda: asyncio.run(read()),
    }[kind]()
    assert items == [1]
    assert captured.records == []
    assert captured.drops == []
    assert captured.current.get() is None


def test_a_function_decorated_with_a_remote_span_runs_below_it(captured: Captured) -> None:
    """Each call gets a scope of its own: the function may be called many times."""
    above = remote(captured)

    @above
    def work() -> None:
        with captured.span("step"):
            pass

    work()
    work()
    assert [event["parent_id"] for event in captured.events] == [above.event_id] * 2
    assert captured.current.get() is None
