"""Every instrumentor with a version of its library that has nothing of what it hooks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from support.instrumented import ModelTracer

from sessiontrace.instrumentation import registry
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.registry import Instruments, built_in


@pytest.fixture(autouse=True)
def reported() -> Iterator[None]:
    """The reporters of this test alone."""
    before = dict(reporters)
    reporters.clear()
    yield
    reporters.clear()
    reporters.update(before)


@pytest.mark.parametrize("entry", built_in(), ids=lambda entry: str(entry.name))
def test_E31_a_broken_version_is_reported(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says why, nothing is raised, and no span of it is taken for reported."""
    for target in (entry.target, *entry.also):
        names = target.split(".")
        for count in range(1, len(names) + 1):
            module = ModuleType(".".join(names[:count]))
            module.__path__ = []
            monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "_built_in", [entry])
    monkeypatch.setenv("SESSIONTRACE_PLUGINS", "0")
    instruments = Instruments(ModelTracer())
    report = instruments.add((entry.name,), ())
    left = dict(reporters)
    instruments.remove()

    assert list(report.failed) == [entry.name], str(report)
    assert f"failed   {entry.name}: " in str(report)
    assert left == {}


def test_where_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report names each library as absent, and no module of any is looked into."""
    monkeypatch.setattr(registry, "_is_there", lambda target: False)
    monkeypatch.setenv("SESSIONTRACE_PLUGINS", "0")
    for entry in built_in():
        for target in (entry.target, *entry.also):
            monkeypatch.delitem(sys.modules, target, raising=False)
    instruments = Instruments(ModelTracer())
    report = instruments.add((), ())
    instruments.remove()

    names = {entry.name for entry in built_in() if entry.by_default}
    assert set(report.absent) == names
    assert not report.active
    assert not report.failed
    assert "absent   openai: openai is not installed" in str(report)
