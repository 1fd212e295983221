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


def packages_of(targets: tuple[str, ...]) -> tuple[str, ...]:
    """What the names of the modules of these libraries begin with; "google" is of several."""
    names = [target.split(".") for target in targets]
    return tuple(".".join(name[:2] if name[0] == "google" else name[:1]) + "." for name in names)


@pytest.mark.parametrize("entry", built_in(), ids=lambda entry: str(entry.name))
def test_E31_a_broken_version_is_reported(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says why, nothing is raised, and no span of it is taken for reported."""
    targets = (entry.target, *entry.also)
    for name in [name for name in sys.modules if name.startswith(packages_of(targets))]:
        monkeypatch.delitem(sys.modules, name)  # another test imported the real library
    for target in targets:
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
