"""Replacing methods of other libraries, and putting them back.

``install`` and ``uninstall`` run on the thread that imports the library or calls ``instrument``.
Invariant: ``restore`` never removes what another tracer has put around a wrapper of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["MethodPatcher", "require_one"]


def require_one(module: Any, *names: str) -> None:
    """Raise AttributeError where a module has none of ``names``.

    For what is hooked where it is there: a version that has nothing of it works in another way.
    """
    if vars(module).keys().isdisjoint(names):
        raise AttributeError(f"module {module.__name__!r} has no {' or '.join(names)}")


class MethodPatcher:
    """The methods that one instrumentor has replaced."""

    def __init__(self) -> None:
        self._patches: list[tuple[Any, str, Any]] = []

    def patch(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        """Replace ``owner.name`` by ``wrap(original)``, once; ``wrap`` uses ``functools.wraps``.

        ``owner`` is a class or a module that defines ``name`` itself; KeyError when it does not.
        """
        original = owner.__dict__[name]
        # ``functools.wraps`` copies the mark: the wrapper that another tracer has put around ours
        # shows our mark too, and calls ours. The mark of another patcher does not count, because
        # that patcher may have been stopped.
        if getattr(original, "_sessiontrace", None) is self:
            return
        wrapper = wrap(original)
        wrapper._sessiontrace = self
        setattr(owner, name, wrapper)
        self._patches.append((owner, name, wrapper))

    def restore(self) -> None:
        """Put the originals back, except where another tracer has wrapped ours since.

        A wrapper that stays must pass its calls through.
        """
        for owner, name, wrapper in self._patches:
            if owner.__dict__.get(name) is wrapper:
                setattr(owner, name, wrapper.__wrapped__)
        self._patches.clear()
