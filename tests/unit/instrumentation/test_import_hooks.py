"""Post-import hooks: they fire once a module is whole, and the import behaves as without them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sessiontrace.instrumentation.import_hooks import Hooks


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def hooks(failures: list[str]) -> Iterator[Hooks]:
    import_hooks = Hooks(lambda name, error: failures.append(f"{name}: {error}"))
    yield import_hooks
    import_hooks.clear()


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
    """A broken instrumentor is reported, and the program goes on."""

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
    hooks.fire_completed()

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
