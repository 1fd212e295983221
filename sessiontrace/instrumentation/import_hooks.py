"""Post-import hooks: call a function when a module has been imported, now or later.

Runs on whichever thread imports the module; standard library only. Invariant: an import behaves as
it would without hooks (same loader, same exceptions), a hook never sees a half-imported module, and
nothing that a hook raises reaches the user's import.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signals import raise_if_from_signal

Hook = Callable[[ModuleType], None]


class Hooks(MetaPathFinder):
    """The hooks of one owner; in ``sys.meta_path`` only while it waits for a module.

    ``failed(name, error)`` is called with what a hook raised; it must not raise.
    """

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        self._failed = failed
        self._hooks: dict[str, Hook] = {}
        self._partial: set[str] = set()  # half imported when their hook was added
        self._lock = ReentrantLock()
        self._finding = threading.local()

    def add(self, name: str, hook: Hook) -> None:
        """Call ``hook(module)`` each time the module ``name`` is executed, and now if it was.

        A module that is reloaded is executed again, so a hook must allow a second call.
        """
        with self._lock:
            self._hooks[name] = hook
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)
        module = sys.modules.get(name)
        if module is None:
            return
        if loaded(module):
            self._fire(name, module)
        else:
            self._partial.add(name)

    def clear(self) -> None:
        """Forget every hook; modules imported from now on fire nothing."""
        with self._lock:
            self._hooks.clear()
            self._partial.clear()
            if self in (sys.meta_path or ()):  # None when the interpreter ends
                sys.meta_path.remove(self)

    def fire_completed(self) -> None:
        """Fire for the modules whose import has ended since their hook was added."""
        for name in list(self._partial):
            module = sys.modules.get(name)
            if module is not None and loaded(module):
                self._partial.discard(name)
                self._fire(name, module)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that fires the hook afterwards."""
        if self._partial:
            self.fire_completed()
        if name not in self._hooks or getattr(self._finding, "name", None) == name:
            return None
        self._finding.name = name  # another finder may search the whole meta path again
        try:
            spec = self._find_elsewhere(name, path, target)
        finally:
            self._finding.name = None
        if spec is None or not hasattr(spec.loader, "exec_module"):
            return spec
        spec.loader = _FiringLoader(spec.loader, self._fire)
        return spec

    def _find_elsewhere(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                return spec
        return None

    def _fire(self, name: str, module: ModuleType) -> None:
        hook = self._hooks.get(name)
        if hook is None:
            return
        try:
            hook(module)
        except Exception as error:
            raise_if_from_signal(error)
            self._failed(name, error)


class _FiringLoader(Loader):
    """Takes the place of a module's loader until the module is executed."""

    def __init__(self, real: Any, fire: Callable[[str, ModuleType], None]) -> None:
        self._real = real
        self._fire = fire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._real, "create_module", None)
        module: ModuleType | None = None if create is None else create(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        # Before the module runs, because it may use its own loader (resources, inspect).
        module.__loader__ = self._real
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        self._real.exec_module(module)
        name = module.__name__
        self._fire(name, sys.modules.get(name, module))


def loaded(module: ModuleType) -> bool:
    """Whether the import of a module has ended."""
    return not getattr(getattr(module, "__spec__", None), "_initializing", False)
