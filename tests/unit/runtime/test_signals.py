"""What a signal handler raises: each broad ``except`` on the user's thread lets it pass."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from pathlib import Path

import pytest

import sessiontrace
from sessiontrace.runtime.signals import without_entry_check

ROOT = Path(sessiontrace.__file__).parent

USERS = (
    "capture",
    "instrumentation",
    "runtime",
    "spool/spool.py",
    "api.py",
    "config.py",
    "config_memo.py",
    "generation.py",
    "otel.py",
    "pipeline.py",
    "report.py",
    "retirement.py",
    "testing.py",
    "tracer.py",
)
"""What runs in the threads of the user, the main thread among them."""

OWN_THREADS = (
    "capture/redaction/async_redactor.py",
    "runtime/worker.py",
    "instrumentation/launcher",
)
"""Python runs signal handlers in the main thread only; a launcher runs before the program."""

PASSING = {"raise_if_from_signal", "_end_again", "_emit_again", "_is_ours"}

ELSEWHERE = ("capture/interruptible_end.py", "capture/decorators/generators.py")
"""Where it is raised after the handler: at the end of the loop, and in the user's generator."""


def broad_handlers() -> Iterator[tuple[str, ast.ExceptHandler]]:
    for place in USERS:
        for path in sorted((ROOT / place).rglob("*.py")) or [ROOT / place]:
            name = path.relative_to(ROOT).as_posix()
            if path.exists() and not name.startswith((*OWN_THREADS, *ELSEWHERE)):
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
                        yield f"{name}:{node.lineno}", node


def is_broad(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(map(is_broad, kind.elts))
    return kind is None or getattr(kind, "id", "") in {"Exception", "BaseException"}


def lets_pass(handler: ast.ExceptHandler) -> bool:
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise) and getattr(node.exc, "id", handler.name) == handler.name:
            return node.exc is None or handler.name is not None
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else function
            if getattr(name, "id", name) in PASSING:
                return True
    return False


def test_B28_each_broad_except_on_the_users_thread_lets_signals_pass() -> None:
    """An ``except Exception`` that someone adds later would swallow a timeout of the user's."""
    handlers = list(broad_handlers())
    assert len(handlers) > 40
    swallowing = [place for place, handler in handlers if not lets_pass(handler)]
    assert not swallowing


def test_a_function_without_the_check_at_its_entry_is_otherwise_the_same() -> None:
    """Its name, arguments, lines and exceptions stay; only the instruction RESUME says less."""

    def work(number: int, *, more_than: int = 0) -> str:
        """A function."""
        if number <= more_than:
            raise ValueError(number)
        return str(number)

    plain = work.__code__
    changed = without_entry_check(work)
    assert changed is work
    assert changed(1) == "1"
    with pytest.raises(ValueError, match="0") as failure:
        changed(0)
    assert failure.traceback[-1].lineno == plain.co_firstlineno + 2
    code = work.__code__
    assert list(code.co_lines()) == list(plain.co_lines())
    differing = [
        (step.opname, step.arg)
        for step, before in zip(
            dis.get_instructions(code), dis.get_instructions(plain), strict=True
        )
        if step != before and step.arg != before.arg
    ]
    assert differing in ([], [("RESUME", 2)])
