"""The conformance suite of an instrumentor: for our instrumentors and third parties'.

    from sessiontrace.conformance import instrumentor
    library = instrumentor.Library(ChatLib, chatlib.client, call=lambda: client.complete(...))
    print(instrumentor.report(instrumentor.run(library)))

You write the ``Library``: how to make the instrumentor, and what calls the library. Each check is a
way in which instrumentation breaks a program or records what did not happen. Runs in the calling
thread, and records nowhere but in memory. Invariant: after ``run`` the library is as it was.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import attrs

from sessiontrace import api
from sessiontrace.conformance.runner import Result, report, run_check
from sessiontrace.conformance.subject import same
from sessiontrace.instrumentation.core.instrumentor import Instrumentor
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.model.step_types import STEP_TYPES
from sessiontrace.testing import Captured, capture

__all__ = ["CHECKS", "Library", "Result", "report", "run"]

_THREADS = 8


@attrs.define
class Library:
    """A library under test, and its instrumentor.

    ``make``: creates the instrumentor. ``module``: what its ``install`` gets. ``call``: one call of
    the library that succeeds, with equal results each time. ``call_async``: the same, awaited.
    ``fail``: a call that raises. ``stream``: a call that gives an iterable of chunks;
    ``stream_async`` an asynchronous one. A check of what is None passes. ``type``: of the events.
    ``events``: how many each call makes.
    """

    make: Callable[[], Instrumentor]
    module: ModuleType
    call: Callable[[], Any]
    call_async: Callable[[], Awaitable[Any]] | None = None
    fail: Callable[[], Any] | None = None
    stream: Callable[[], Iterable[Any]] | None = None
    stream_async: Callable[[], Any] | None = None
    type: str = "model"
    events: int = 1

    def reset(self) -> None:
        """Nothing is kept between checks."""

    @contextmanager
    def recorded(self) -> Iterator[Captured]:
        """What the library's calls inside the block record."""
        with capture() as captured:
            calls, instrumentor = CallRecorder(api.default_tracer), self.make()
            instrumentor.install(self.module, calls)
            try:
                yield captured
            finally:
                calls.enabled = False
                instrumentor.uninstall()

    def events_of(self, captured: Captured, times: int = 1) -> list[dict[str, Any]]:
        """The library's events; fails where these are not as many as ``times`` calls make."""
        events = [event for event in captured.events if event["event_type"] == self.type]
        names = [event["event_name"] for event in events]
        same(len(events), times * self.events, f"events of the type {self.type} ({names})")
        return events


def run(library: Library) -> list[Result]:
    """Every check on ``library``."""
    if library.type not in STEP_TYPES:
        raise ValueError(f"type must be one of {', '.join(STEP_TYPES)}, got {library.type!r}")
    return [run_check(check, library) for check in CHECKS]


# -- a call ---------------------------------------------------------------------------------


def check_a_call_gives_what_it_gives_without_us(library: Library) -> None:
    expected = library.call()
    with library.recorded(), api.session("checked"):
        same(library.call(), expected, "the result")


def check_a_call_is_one_event_below_the_current_span(library: Library) -> None:
    with library.recorded() as captured, api.session("checked"), api.span("caller") as span:
        library.call()
    event = library.events_of(captured)[-1]
    same(event["parent_id"], span.event_id, "the parent of the event")
    same(bool(event["inputs"]), True, f"inputs are recorded ({event['inputs']!r})")
    same("outputs" in event, True, "outputs are recorded")
    same(event.get("error"), None, "the error of a call that succeeded")


def check_what_follows_a_call_is_beside_it(library: Library) -> None:
    with library.recorded() as captured, api.session("checked") as session:
        library.call()
        same(api.current_span() is session, True, "the current span after the call is the caller's")
        with api.span("after"):
            pass
    after = next(event for event in captured.events if event["event_name"] == "after")
    same(after["parent_id"], session.event_id, "the parent of the next span")


def check_a_call_outside_any_session_is_a_session(library: Library) -> None:
    with library.recorded() as captured:
        library.call()
    library.events_of(captured)
    same(len(captured.sessions), library.events, "sessions")
    same(any(session.open for session in captured.sessions), False, "a session is left open")


async def check_an_awaited_call_is_one_event(library: Library) -> None:
    if library.call_async is None:
        return
    expected = await library.call_async()
    with library.recorded() as captured, api.session("checked"):
        same(await library.call_async(), expected, "the result")
    library.events_of(captured)


def check_an_exception_passes_and_is_recorded_once(library: Library) -> None:
    if library.fail is None:
        return
    expected = _failure(library.fail)
    with library.recorded() as captured, api.session("checked"):
        error = _failure(library.fail)
    same((type(error), str(error)), (type(expected), str(expected)), "the exception")
    event = library.events_of(captured)[-1]
    same(bool(event.get("error")), True, "the event has the error")


# -- streams --------------------------------------------------------------------------------


def check_a_stream_gives_its_chunks_and_ends_once(library: Library) -> None:
    if library.stream is None:
        return
    expected = list(library.stream())
    with library.recorded() as captured, api.session("checked") as session:
        stream = library.stream()
        with api.span("between"):
            pass
        same(list(stream), expected, "the chunks")
        same(api.current_span() is session, True, "the current span after the stream")
    library.events_of(captured)
    between = next(event for event in captured.events if event["event_name"] == "between")
    same(between["parent_id"], session.event_id, "the parent of a span beside an open stream")


def check_a_stream_that_is_broken_off_ends_once(library: Library) -> None:
    if library.stream is None:
        return
    with library.recorded() as captured, api.session("checked"):
        stream: Any = library.stream()
        next(iter(stream))
        if hasattr(stream, "close"):
            stream.close()
        del stream
    library.events_of(captured)


async def check_an_awaited_stream_gives_its_chunks(library: Library) -> None:
    if library.stream_async is None:
        return
    expected = await _chunks(library.stream_async)
    with library.recorded() as captured, api.session("checked"):
        same(await _chunks(library.stream_async), expected, "the chunks")
    library.events_of(captured)


# -- many, none, and ours -------------------------------------------------------------------


def check_calls_in_threads_stay_in_their_sessions(library: Library) -> None:
    barrier = threading.Barrier(_THREADS)

    def talk(number: int) -> str:
        barrier.wait(10)
        with api.session(f"session {number}") as session:
            library.call()
        return session.session_id

    with library.recorded() as captured, ThreadPoolExecutor(_THREADS) as pool:
        sessions = list(pool.map(talk, range(_THREADS)))
    events = library.events_of(captured, _THREADS)
    owners = sorted({event["session_id"] for event in events})
    same(owners, sorted(sessions), "the sessions of the events")


def check_nothing_is_recorded_inside_suppress(library: Library) -> None:
    with library.recorded() as captured, api.session("checked"), api.suppress():
        library.call()
    library.events_of(captured, 0)


def check_a_second_install_records_once(library: Library) -> None:
    with capture() as captured:
        calls, instrumentor = CallRecorder(api.default_tracer), library.make()
        instrumentor.install(library.module, calls)
        instrumentor.install(library.module, calls)  # as after a reload of the module
        try:
            with api.session("checked"):
                library.call()
        finally:
            calls.enabled = False
            instrumentor.uninstall()
    library.events_of(captured)


def check_nothing_is_recorded_after_uninstall(library: Library) -> None:
    with capture() as captured:
        calls, instrumentor = CallRecorder(api.default_tracer), library.make()
        instrumentor.install(library.module, calls)
        instrumentor.uninstall()
        with api.session("checked"):
            library.call()
    library.events_of(captured, 0)


def check_a_fault_of_ours_does_not_reach_the_program(library: Library) -> None:
    expected = library.call()
    with capture():
        instrumentor = library.make()
        instrumentor.install(library.module, _BrokenRecorder(api.default_tracer))
        try:
            with api.session("checked"):
                same(library.call(), expected, "the result")
        finally:
            instrumentor.uninstall()


class _BrokenRecorder(CallRecorder):
    """A recorder in which everything fails."""

    __slots__ = ()

    def recorder(self, *, in_default_session: bool = True) -> Any:
        raise RuntimeError("a fault of the instrumentation")


def _failure(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("`fail` raised no exception")


async def _chunks(stream: Callable[[], Any]) -> list[Any]:
    """The chunks of an asynchronous iterator, or of one that is awaited first."""
    opened = stream()
    chunks: AsyncIterator[Any] = opened if hasattr(opened, "__aiter__") else await opened
    return [chunk async for chunk in chunks]


CHECKS: tuple[Callable[[Library], Any], ...] = (
    check_a_call_gives_what_it_gives_without_us,
    check_a_call_is_one_event_below_the_current_span,
    check_what_follows_a_call_is_beside_it,
    check_a_call_outside_any_session_is_a_session,
    check_an_awaited_call_is_one_event,
    check_an_exception_passes_and_is_recorded_once,
    check_a_stream_gives_its_chunks_and_ends_once,
    check_a_stream_that_is_broken_off_ends_once,
    check_an_awaited_stream_gives_its_chunks,
    check_calls_in_threads_stay_in_their_sessions,
    check_nothing_is_recorded_inside_suppress,
    check_a_second_install_records_once,
    check_nothing_is_recorded_after_uninstall,
    check_a_fault_of_ours_does_not_reach_the_program,
)
"""All checks, in the order they run."""
