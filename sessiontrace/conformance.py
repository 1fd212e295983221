"""The conformance suite of a tracing decorator: run it on any, ours or somebody else's.

    from sessiontrace import conformance
    print(conformance.report(conformance.run(Subject())))

``Subject`` is yours and says how to decorate, how to open a span by hand and what was recorded.
Each check is a way in which tracing decorators have been seen to break user code. Runs in the
calling thread, each check in a fresh event loop. Invariant: a check that fails names what a user
would have seen, and never stops those after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import math
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

__all__ = ["CHECKS", "Result", "Seen", "Subject", "report", "run"]


class Seen(NamedTuple):
    """One finished span. ``error``: type and message, empty when none; ``parent``: its name."""

    name: str
    parent: str = ""
    error: str = ""
    cancelled: bool = False
    inputs: Any = None


class Subject(Protocol):
    """What is examined."""

    def decorate(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """``fn`` traced, its span named like it."""
        ...

    def span(self, name: str) -> AbstractContextManager[Any]:
        """A span opened by hand, current inside the block."""
        ...

    def seen(self) -> list[Seen]:
        """Everything that has finished since the last ``reset``."""
        ...

    def reset(self) -> None:
        """Forget what was seen."""
        ...


class Result(NamedTuple):
    """How one check went; ``reason`` is empty when it passed."""

    name: str
    passed: bool
    reason: str = ""


def run(subject: Subject) -> list[Result]:
    """Every check on ``subject``."""
    return [_run(check, subject) for check in CHECKS]


def report(results: list[Result]) -> str:
    """One line for each check, and the sum."""
    lines = [
        f"{'ok  ' if one.passed else 'FAIL'} {one.name} {one.reason}".rstrip() for one in results
    ]
    return "\n".join([*lines, f"{sum(one.passed for one in results)} of {len(results)} passed"])


def _run(check: Callable[[Subject], Any], subject: Subject) -> Result:
    name = check.__name__.removeprefix("check_").replace("_", " ")
    subject.reset()
    log = _Log()
    logging.getLogger().addHandler(log)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if inspect.iscoroutinefunction(check):
                asyncio.run(check(subject))
            else:
                check(subject)
            gc.collect()
        if log.lines:
            raise AssertionError(f"logged: {log.lines[0]}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not error.args:
            raise
        return Result(name, False, f"({type(error).__name__}: {str(error)[:200]})")
    finally:
        logging.getLogger().removeHandler(log)
    return Result(name, True)


class _Log(logging.Handler):
    """Keeps what was logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage()[:200])


def _is(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} instead of {wanted!r}")


def _one(subject: Subject, name: str) -> Seen:
    found = [one for one in subject.seen() if one.name == name or one.name.endswith("." + name)]
    _is(len(found), 1, f"spans named {name}")
    return found[0]


def _parent(subject: Subject, name: str, wanted: str) -> None:
    found = _one(subject, name).parent
    _is(found == wanted or found.endswith("." + wanted), True, f"parent of {name} is {found!r}")


# -- the checks -------------------------------------------------------------------------------


def check_the_kind_of_function_is_kept(subject: Subject) -> None:
    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    async def asyncgen() -> AsyncIterator[int]:
        yield 1

    for fn in (coroutine, generator, asyncgen):
        for ask in (
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
        ):
            _is(ask(subject.decorate(fn)), ask(fn), f"{ask.__name__} of {fn.__name__}")


def check_name_docs_and_signature_are_kept(subject: Subject) -> None:
    def work(a: int, *, b: str = "b") -> None:
        """Docs."""

    traced = subject.decorate(work)
    _is((traced.__name__, traced.__doc__), ("work", "Docs."), "name and docs")
    _is(inspect.signature(traced), inspect.signature(work), "signature")


def check_a_generator_span_lasts_until_exhausted(subject: Subject) -> None:
    @subject.decorate
    def numbers() -> Iterator[int]:
        for number in range(2):
            with subject.span(f"child {number}"):
                yield number

    for _ in numbers():
        _is([one.name for one in subject.seen() if "numbers" in one.name], [], "ended early")
    _parent(subject, "child 0", "numbers")
    _parent(subject, "child 1", "numbers")


def check_a_span_of_the_consumer_between_yields_is_the_consumers(subject: Subject) -> None:
    @subject.decorate
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    with subject.span("consumer"):
        for number in numbers():
            with subject.span(f"use {number}"):
                pass
    _parent(subject, "use 1", "consumer")
    _parent(subject, "use 2", "consumer")


def check_breaking_out_of_a_generator_is_no_error(subject: Subject) -> None:
    @subject.decorate
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    for _ in numbers():
        break
    gc.collect()
    _is(_one(subject, "numbers").error, "", "error")


async def check_breaking_out_of_an_async_generator_logs_nothing(subject: Subject) -> None:
    @subject.decorate
    async def numbers() -> AsyncIterator[int]:
        with subject.span("inner"):
            yield 1
            yield 2

    async for _ in numbers():
        break
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    _is(_one(subject, "numbers").error, "", "error")


def check_send_and_throw_reach_a_generator(subject: Subject) -> None:
    @subject.decorate
    def talk() -> Any:
        got = yield "ready"
        try:
            yield f"got {got}"
        except KeyError:
            yield "caught"
        return "bye"

    running = talk()
    _is(next(running), "ready", "next")
    _is(running.send("x"), "got x", "send")
    _is(running.throw(KeyError()), "caught", "throw")
    try:
        next(running)
    except StopIteration as stop:
        _is(stop.value, "bye", "return value")


async def check_asend_and_athrow_reach_an_async_generator(subject: Subject) -> None:
    @subject.decorate
    async def talk() -> Any:
        got = yield "ready"
        try:
            yield f"got {got}"
        except KeyError:
            yield "caught"

    running = talk()
    _is(await running.__anext__(), "ready", "anext")
    _is(await running.asend("x"), "got x", "asend")
    _is(await running.athrow(KeyError()), "caught", "athrow")
    await running.aclose()


def check_contextmanager_on_top_runs_the_users_except(subject: Subject) -> None:
    rolled_back = []

    @contextlib.contextmanager
    @subject.decorate
    def transaction() -> Iterator[None]:
        try:
            yield
        except ValueError:
            rolled_back.append(True)
            raise

    try:
        with transaction():
            raise ValueError("the user's")
    except ValueError:
        pass
    _is(rolled_back, [True], "rollback")


async def check_asynccontextmanager_on_top_runs_the_users_except(subject: Subject) -> None:
    rolled_back = []

    @contextlib.asynccontextmanager
    @subject.decorate
    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except ValueError:
            rolled_back.append(True)
            raise

    try:
        async with transaction():
            raise ValueError("the user's")
    except ValueError:
        pass
    _is(rolled_back, [True], "rollback")


async def check_an_async_generator_read_in_another_task_keeps_its_parent(subject: Subject) -> None:
    async def body() -> AsyncIterator[int]:
        with subject.span("step"):
            yield 1

    @subject.decorate
    async def handler() -> AsyncIterator[int]:
        return body()

    async def read(stream: AsyncIterator[int]) -> list[int]:
        return [item async for item in stream]

    with subject.span("request"):
        stream = await handler()
    _is(await asyncio.create_task(read(stream)), [1], "items")
    _parent(subject, "step", "handler")


def check_thread_pools_keep_the_parent(subject: Subject) -> None:
    work = subject.decorate(_named("work", lambda: None))
    with ThreadPoolExecutor(1) as pool, subject.span("parent"):
        pool.submit(work).result()
    _parent(subject, "work", "parent")


async def check_run_in_executor_keeps_the_parent(subject: Subject) -> None:
    work = subject.decorate(_named("work", lambda: None))
    with subject.span("parent"):
        await asyncio.get_running_loop().run_in_executor(None, work)
    _parent(subject, "work", "parent")


async def check_to_thread_keeps_the_parent(subject: Subject) -> None:
    work = subject.decorate(_named("work", lambda: None))
    with subject.span("parent"):
        await asyncio.to_thread(work)
    _parent(subject, "work", "parent")


def check_raw_threads_keep_the_parent(subject: Subject) -> None:
    work = subject.decorate(_named("work", lambda: None))
    with subject.span("parent"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    _parent(subject, "work", "parent")


async def check_a_task_that_outlives_its_parent_keeps_it(subject: Subject) -> None:
    @subject.decorate
    async def late() -> None:
        await asyncio.sleep(0.005)

    with subject.span("parent"):
        task = asyncio.create_task(late())
    await task
    _parent(subject, "late", "parent")


async def check_50_concurrent_requests_never_mix(subject: Subject) -> None:
    async def request(number: int) -> None:
        async def tool() -> None:
            await asyncio.sleep(0)

        with subject.span(f"request {number}"):
            await asyncio.sleep(0)
            await subject.decorate(_named(f"tool_{number}", tool))()

    await asyncio.gather(*(request(number) for number in range(50)))
    for number in range(50):
        _parent(subject, f"tool_{number}", f"request {number}")


def check_hostile_arguments_reach_the_function(subject: Subject) -> None:
    @subject.decorate
    def echo(value: object) -> object:
        return value

    for value in (_Hostile(), _deep(), _Endless(), math.nan, "\ud83d", 2**80):
        _is(echo(value) is value, True, f"echo of {type(value).__name__}")
    _is(len(subject.seen()), 6, "spans")


def check_the_input_is_captured_before_it_is_mutated(subject: Subject) -> None:
    @subject.decorate
    def consume(items: list[str]) -> None:
        items.clear()

    consume(["original"])
    _is("original" in str(_one(subject, "consume").inputs), True, "original input recorded")


def check_an_exception_passes_and_is_recorded(subject: Subject) -> None:
    error = ValueError("the user's")

    @subject.decorate
    def fail() -> None:
        raise error

    try:
        fail()
    except ValueError as caught:
        _is(caught is error, True, "the same exception")
    found = _one(subject, "fail").error
    _is("ValueError" in found and "the user's" in found, True, f"recorded as {found!r}")


async def check_a_cancelled_task_shows_as_cancelled(subject: Subject) -> None:
    @subject.decorate
    async def wait() -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.005)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    found = _one(subject, "wait")
    _is(found.cancelled or "Cancel" in found.error, True, "cancelled")


def check_keyboard_interrupt_and_system_exit_are_recorded(subject: Subject) -> None:
    for kind in (KeyboardInterrupt, SystemExit):

        def leave(kind: type[BaseException] = kind) -> None:
            raise kind("the user's")

        subject.reset()
        with contextlib.suppress(kind):
            subject.decorate(_named("leave", leave))()
        _is(kind.__name__ in _one(subject, "leave").error, True, f"{kind.__name__} recorded")


CHECKS: tuple[Callable[[Subject], Any], ...] = tuple(
    found for name, found in list(globals().items()) if name.startswith("check_")
)
"""All checks, in the order they run."""


class _Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class _Endless:
    def __getattr__(self, name: str) -> _Endless:
        return _Endless()


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(3_000):
        value = [value]
    return value


def _named(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    fn.__name__ = fn.__qualname__ = name
    return fn
