"""The conformance suite of a tracing decorator: run it on ours, or on that of another library.

    from sessiontrace import conformance
    print(conformance.report(conformance.run(Subject())))

You write the ``Subject``: how to decorate a function, how to open a span by hand, and what was
recorded. Each check is a way in which tracing decorators break user code. Runs in the calling
thread, each check in a new event loop. Invariant: a check that fails names what a user would see,
and never stops the checks after it.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from sessiontrace.conformance import calls, context, generators, identity
from sessiontrace.conformance.subject import Seen, Subject

__all__ = ["CHECKS", "Result", "Seen", "Subject", "report", "run"]

CHECKS: tuple[Callable[[Subject], Any], ...] = (
    *calls.CHECKS,
    *generators.CHECKS,
    *context.CHECKS,
    *identity.CHECKS,
)
"""All checks, in the order they run."""


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
        f"{'ok  ' if result.passed else 'FAIL'} {result.name} {result.reason}".rstrip()
        for result in results
    ]
    passed = sum(result.passed for result in results)
    return "\n".join([*lines, f"{passed} of {len(results)} passed"])


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
    """Keeps the messages of level WARNING and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage()[:200])
