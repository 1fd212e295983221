"""How the checks of a suite run, and what they say.

Runs in the calling thread. Invariant: a check that fails, warns or logs is a ``Result`` with the
reason, and stops no other check.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

__all__ = ["Resettable", "Result", "report", "run_check"]


class Resettable(Protocol):
    """A subject of checks."""

    def reset(self) -> None:
        """Forget what earlier checks recorded."""
        ...


S = TypeVar("S", bound=Resettable)


class Result(NamedTuple):
    """How one check went; ``reason`` is empty when it passed."""

    name: str
    passed: bool
    reason: str = ""


def report(results: list[Result]) -> str:
    """One line for each check, and the sum."""
    lines = [
        f"{'ok  ' if result.passed else 'FAIL'} {result.name} {result.reason}".rstrip()
        for result in results
    ]
    passed = sum(result.passed for result in results)
    return "\n".join([*lines, f"{passed} of {len(results)} passed"])


def run_check(check: Callable[[S], Any], subject: S) -> Result:
    """One check on ``subject``, in an event loop of its own where the check is asynchronous."""
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
