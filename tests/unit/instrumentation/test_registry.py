"""The registry: which libraries can be instrumented, and what the report says about each."""

from __future__ import annotations

import importlib
import pkgutil
import py_compile
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.instrumented import ModelTracer
from support.subprocesses import run

from sessiontrace.instrumentation import compatible, libraries, registry
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.registry import PACKAGES, Instruments, built_in


class Stub:
    """An instrumentor that records its calls."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.steps: list[str] = []

    def install(self, module: ModuleType, calls: object) -> None:
        if self.fault:
            raise AttributeError(self.fault)
        self.steps.append(f"install {module.__name__}")

    def uninstall(self) -> None:
        self.steps.append("uninstall")


def one_library(monkeypatch: pytest.MonkeyPatch, stub: Stub) -> None:
    entry = Entry("stub_library", "stub_library.client", lambda: stub)
    monkeypatch.setattr(registry, "_built_in", [entry])
    monkeypatch.setenv("SESSIONTRACE_PLUGINS", "0")


def test_the_report_says_waiting_then_active(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed but not imported; imported; and gone after ``uninstrument``."""
    stub = Stub()
    one_library(monkeypatch, stub)
    instruments = Instruments(ModelTracer())

    assert "stub_library" in instruments.add((), ()).waiting
    importlib.import_module(library)
    assert "stub_library" in instruments.add((), ()).active
    instruments.remove()
    assert stub.steps == ["install stub_library.client", "uninstall"]


def test_the_report_says_absent_blocked_and_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed here, excluded, and a name without an instrumentor."""
    one_library(monkeypatch, Stub())
    instruments = Instruments(ModelTracer())
    before = list(sys.meta_path)

    absent = instruments.add((), ())
    assert "not installed" in absent.absent["stub_library"]
    instruments.remove()
    assert "stub_library" in instruments.add((), ("stub_library",)).blocked
    report = instruments.add(("opneai",), ())
    assert "no instrumentor" in report.failed["opneai"]
    assert "failed   opneai" in str(report)
    instruments.remove()
    assert sys.meta_path == before


def test_the_report_says_why_an_instrumentor_failed(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unsupported version of a library: a reason in the report, no exception, no half hooks."""
    stub = Stub("no attribute 'request'")
    one_library(monkeypatch, stub)
    instruments = Instruments(ModelTracer())
    instruments.add((), ())
    module = importlib.import_module(library)
    report = instruments.add((), ())
    assert stub.steps == ["uninstall"]
    instruments.remove()

    assert module.ask() == "answer"
    assert report.failed == {"stub_library": "AttributeError: no attribute 'request'"}


ABSENT = """
import sys
import sessiontrace as st
from sessiontrace.instrumentation.registry import built_in
before = set(sys.modules)
report = st.instrument()
assert built_in() and not report.failed, report
imported = [name for name in set(sys.modules) - before if name.startswith("sessiontrace.")]
places = (".libraries.", ".compatible.", ".web.")
assert not [name for name in imported if any(place in name for place in places)], imported
assert not {"openai", "anthropic", "groq"} & set(sys.modules)
"""


def test_instrument_imports_no_library_and_no_instrumentor(tmp_path: Path) -> None:
    """A program that imports none of the libraries pays for the strings in the registry only."""
    run(ABSENT, tmp_path)


MODULES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
)


def test_the_registry_reads_what_each_module_declares() -> None:
    """One ENTRY in a module of ``PACKAGES`` adds a library, and nothing else does."""
    declared = [
        (entry.name, entry.target, entry.by_default)
        for module in map(importlib.import_module, MODULES)
        if (entry := getattr(module, "ENTRY", None)) is not None
    ]
    read = [(entry.name, entry.target, entry.by_default) for entry in built_in()]

    assert sorted(read) == sorted(declared)
    assert len({name for name, _, _ in read}) == len(read)
    assert ("uvicorn", "uvicorn.config", False) in read
    assert ("mcp", "mcp.client.session", True) in read


def test_every_library_has_a_module_that_declares_it() -> None:
    """A module of a library whose ENTRY is missing or misspelt would be silently ignored."""
    assert all(
        hasattr(importlib.import_module(module), "ENTRY")
        for module in MODULES
        if module.startswith((libraries.__name__, compatible.__name__))
    )


@pytest.mark.parametrize("entry", built_in(), ids=lambda entry: str(entry.name))
def test_every_entry_makes_an_instrumentor(entry: Entry) -> None:
    """The class is found by the module's own ENTRY, without the library being there."""
    instrumentor = entry.make()

    assert callable(instrumentor.install)
    assert callable(instrumentor.uninstall)
    assert entry.name in instrumentor.__class__.__module__.replace("_", "-")


def test_modules_without_their_source_are_imported_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution of compiled files only has the same entries."""
    source = Path(str(libraries.__file__)).with_name("mcp.py")
    py_compile.compile(str(source), cfile=str(tmp_path / "mcp.pyc"), doraise=True)
    for package in PACKAGES:
        path = [str(tmp_path)] if package is libraries else []
        monkeypatch.setattr(package, "__path__", path)
    monkeypatch.setattr(registry, "_built_in", None)
    monkeypatch.delitem(sys.modules, f"{libraries.__name__}.mcp", raising=False)

    assert [(entry.name, entry.target) for entry in built_in()] == [("mcp", "mcp.client.session")]
