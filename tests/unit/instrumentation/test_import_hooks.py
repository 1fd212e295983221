"""Post-import hooks: they fire once a module is whole, and an import cannot tell they are there."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from support.stubs.tracing import Listening

from sessiontrace.instrumentation import registry
from sessiontrace.instrumentation.import_hooks import Hooks
from sessiontrace.instrumentation.registry import Entry, Instruments


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package on the path with a submodule ``client``, not imported yet."""
    name = "stub_library"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("from stub_library.client import ask\n")
    (package / "client.py").write_text("def ask():\n    return 'answer'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield name
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def hooks(failures: list[str]) -> Iterator[Hooks]:
    made = Hooks(lambda name, error: failures.append(f"{name}: {error}"))
    yield made
    made.clear()


def test_a_hook_fires_when_the_module_is_imported(hooks: Hooks, library: str) -> None:
    """Not before, and with all of the module there."""
    seen: list[str] = []
    hooks.add(f"{library}.client", lambda module: seen.append(module.ask()))
    assert seen == []
    importlib.import_module(library)

    assert seen == ["answer"]


def test_a_hook_on_an_imported_module_fires_at_once(hooks: Hooks, library: str) -> None:
    """The order of import and instrument does not matter."""
    importlib.import_module(library)
    seen: list[ModuleType] = []
    hooks.add(f"{library}.client", seen.append)

    assert [module.__name__ for module in seen] == [f"{library}.client"]


def test_a_module_keeps_its_loader(hooks: Hooks, library: str) -> None:
    """``inspect`` and resources look at it; ours stands there only until the module runs."""
    hooks.add(f"{library}.client", lambda module: None)
    module = importlib.import_module(f"{library}.client")

    assert module.__spec__ is not None
    assert type(module.__spec__.loader).__module__.startswith("_frozen_importlib")
    assert module.__loader__ is module.__spec__.loader


def test_a_hook_that_fails_does_not_break_the_import(
    hooks: Hooks, library: str, failures: list[str]
) -> None:
    """A broken instrumentor is told of, and the program goes on."""

    def broken(module: ModuleType) -> None:
        raise ValueError("ours")

    hooks.add(f"{library}.client", broken)
    module = importlib.import_module(library)

    assert module.ask() == "answer"
    assert failures == [f"{library}.client: ours"]


def test_an_import_that_fails_raises_its_own_error(
    hooks: Hooks, library: str, tmp_path: Path
) -> None:
    """A library that is broken itself: the same exception, and no hook."""
    (tmp_path / library / "client.py").write_text("raise RuntimeError('theirs')\n")
    seen: list[ModuleType] = []
    hooks.add(f"{library}.client", seen.append)
    with pytest.raises(RuntimeError, match="theirs"):
        importlib.import_module(library)

    assert seen == []


def test_a_half_imported_module_waits(hooks: Hooks, library: str, tmp_path: Path) -> None:
    """Hooked in the middle of its own import, it is seen only when it is whole."""
    (tmp_path / library / "client.py").write_text(
        "import sys\nsys.modules['stub_meddler'].meddle()\ndef ask():\n    return 'late'\n"
    )
    seen: list[str] = []
    meddler = ModuleType("stub_meddler")
    meddler.meddle = lambda: hooks.add(  # type: ignore[attr-defined]
        f"{library}.client", lambda module: seen.append(module.ask())
    )
    sys.modules["stub_meddler"] = meddler
    try:
        importlib.import_module(library)
    finally:
        del sys.modules["stub_meddler"]
    assert seen == []
    hooks.look_again()

    assert seen == ["late"]


def test_a_reload_fires_again(hooks: Hooks, library: str) -> None:
    """The module is new, so what was put into it is gone."""
    seen: list[ModuleType] = []
    hooks.add(f"{library}.client", seen.append)
    module = importlib.import_module(f"{library}.client")
    importlib.reload(module)

    assert len(seen) == 2


def test_threads_that_import_at_once_fire_once(hooks: Hooks, library: str) -> None:
    """Python's own import lock decides who runs the module."""
    seen: list[ModuleType] = []
    hooks.add(f"{library}.client", seen.append)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        importlib.import_module(library)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 1


def test_clear_leaves_nothing_behind(hooks: Hooks, library: str) -> None:
    """The meta path is what it was, and imports go by unseen."""
    before = list(sys.meta_path)
    seen: list[ModuleType] = []
    hooks.add(f"{library}.client", seen.append)
    assert sys.meta_path != before
    hooks.clear()
    importlib.import_module(library)

    assert sys.meta_path == before
    assert seen == []


class Stub:
    """An instrumentor that notes what happens to it."""

    def __init__(self, fault: str = "") -> None:
        self.name = "stub_library"
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
    monkeypatch.setattr(registry, "_BUILT_IN", (entry,))
    monkeypatch.setenv("SESSIONTRACE_PLUGINS", "0")


def test_the_report_tells_waiting_then_active(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed but not imported; imported; and gone after ``uninstrument``."""
    stub = Stub()
    one_library(monkeypatch, stub)
    instruments = Instruments(Listening())

    assert "stub_library" in instruments.add((), ()).waiting
    importlib.import_module(library)
    assert "stub_library" in instruments.add((), ()).active
    instruments.remove()
    assert stub.steps == ["install stub_library.client", "uninstall"]


def test_the_report_tells_absent_blocked_and_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed here; not wanted; and a name that nobody knows."""
    one_library(monkeypatch, Stub())
    instruments = Instruments(Listening())
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


def test_the_report_tells_why_an_instrumentor_failed(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library of a form we do not know: a reason, no exception."""
    one_library(monkeypatch, Stub("no attribute 'request'"))
    instruments = Instruments(Listening())
    instruments.add((), ())
    module = importlib.import_module(library)
    report = instruments.add((), ())
    instruments.remove()

    assert module.ask() == "answer"
    assert report.failed == {"stub_library": "AttributeError: no attribute 'request'"}


def test_looking_for_absent_libraries_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """``instrument`` on a machine without any of them loads no library at all."""
    loaded = set(sys.modules)
    instruments = Instruments(Listening())
    instruments.add((), ())
    instruments.remove()
    new = {name.partition(".")[0] for name in set(sys.modules) - loaded}

    assert not new & {"openai", "anthropic", "groq"}
