"""The conformance suite of a tracing decorator: run it on ours, or on that of another library.

    from sessiontrace import conformance
    print(conformance.report(conformance.run(Subject())))

You write the ``Subject``: how to decorate a function, how to open a span by hand, and what was
recorded. Each check is a way in which tracing decorators break user code. Runs in the calling
thread, each check in a new event loop. Invariant: a check that fails names what a user would see,
and never stops the checks after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.conformance import calls, context, generators, identity
from sessiontrace.conformance.runner import Result, report, run_check
from sessiontrace.conformance.subject import Seen, Subject

__all__ = ["CHECKS", "Result", "Seen", "Subject", "report", "run"]

CHECKS: tuple[Callable[[Subject], Any], ...] = (
    *calls.CHECKS,
    *generators.CHECKS,
    *context.CHECKS,
    *identity.CHECKS,
)
"""All checks, in the order they run."""


def run(subject: Subject) -> list[Result]:
    """Every check on ``subject``."""
    return [run_check(check, subject) for check in CHECKS]
