"""Frameworks read the type hints of what they call: every public signature resolves."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.capture.non_recording import SuppressedScope
from sessiontrace.capture.noop import Noop
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.streams.stream import AsyncStream, Stream

RETURNED = (Span, Session, SuppressedScope, Noop, Stream, AsyncStream)


def public() -> Iterator[tuple[str, Any]]:
    """Every public object that has hints, by its name."""
    names = {name: getattr(st, name) for name in st.__all__}
    names |= {kind.__name__: kind for kind in RETURNED}
    for name, value in list(names.items()):
        if isinstance(value, types.ModuleType):
            del names[name]
            names |= {f"{name}.{own}": getattr(value, own) for own in value.__all__}
    for name, value in names.items():
        if inspect.isclass(value):
            yield name, value
            for own in dir(value):
                member = inspect.getattr_static(value, own)
                function = getattr(member, "__func__", None) or getattr(member, "fget", member)
                if isinstance(function, types.FunctionType) and (
                    not own.startswith("_") or own in ("__init__", "__call__", "__enter__")
                ):
                    yield f"{name}.{own}", function
        elif inspect.isroutine(value):
            yield name, value


@pytest.mark.parametrize(("name", "value"), [pytest.param(*row, id=row[0]) for row in public()])
def test_the_hints_resolve(name: str, value: Any) -> None:
    """Dependency injection, command lines and validation ask ``typing`` for them."""
    typing.get_type_hints(value)


def test_the_hints_are_the_classes_themselves() -> None:
    """A container finds what a function returns by its class, and a union has its members."""
    assert typing.get_type_hints(st.span)["return"] is Span
    assert typing.get_type_hints(st.current_session)["return"] is Session
    assert typing.get_type_hints(st.stats)["return"] is st.Stats
    assert typing.get_type_hints(st.start_span)["parent"] == typing.Optional[Span]  # noqa: UP045
    assert typing.get_type_hints(st.init)["sample"] == float | st.Sample | None
    assert typing.get_type_hints(st.HoneyHive.__init__)["base_url"] is str


def test_resolving_is_what_imports() -> None:
    """``import sessiontrace`` loads no class for its signatures."""
    program = (
        "import sys, typing, sessiontrace as st; heavy = 'sessiontrace.capture.span';"
        "assert heavy not in sys.modules; typing.get_type_hints(st.span);"
        "assert heavy in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
