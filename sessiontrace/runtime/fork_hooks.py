"""Fork hooks: what happens around ``os.fork``, in one fixed order; the only ``register_at_fork``.

Runs in the forking thread; a child has that thread alone. Invariant: a stage runs what is
registered at the moment the fork reaches it, so a module that another thread imports while the fork
waits is not overlooked; the stages keep their order whatever is imported first.

============  ===============================  ==================  ================================
stage         before the fork                  after, in parent    after, in child
============  ===============================  ==================  ================================
IDS                                                                other random bits for ids
EXECUTORS                                                          a new lock for the patches
SPOOL_LOCKS                                                        close the parent's spool locks
STORES        close connections, bar new ones  allow connections   allow connections
TRACERS       wait for imports in our threads  let imports go on   new import lock; tracers restart
============  ===============================  ==================  ================================

Before the fork the stages run from the last to the first: a thread that imports may open a store,
so the imports come to rest first. After the fork they run from the first to the last: a tracer that
restarts needs ids, spools and stores of its own.

Python runs the hooks of several libraries in the order of their registration (before the fork: in
reverse). A stage registers with its first hook, and the stages above it with it. So TRACERS, which
register with the first record, come after ``threading``: in a child it has made its own locks anew
before a tracer uses them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["EXECUTORS", "IDS", "SPOOL_LOCKS", "STORES", "TRACERS"]

Hook = Callable[[], None]


class Stage:
    """Hooks of one subject. Python reports what a stage raises, and still runs the others."""

    __slots__ = ("_before", "_in_child", "_in_parent", "_registered")

    def __init__(self) -> None:
        self._registered = False
        self._before: list[Hook] = []
        self._in_parent: list[Hook] = []
        self._in_child: list[Hook] = []

    def register(
        self, *, before: Hook | None = None, in_parent: Hook | None = None, in_child: Hook
    ) -> None:
        """Run these hooks at every fork from now on. From any thread."""
        if before is not None:
            self._before.append(before)
        if in_parent is not None:
            self._in_parent.append(in_parent)
        self._in_child.append(in_child)
        for stage in _ORDER[: _ORDER.index(self) + 1]:
            stage.install()

    def before(self) -> None:
        """In the forking thread, before the fork."""
        for hook in self._before:
            hook()

    def after_in_parent(self) -> None:
        """In the forking thread, after the fork."""
        for hook in self._in_parent:
            hook()

    def after_in_child(self) -> None:
        """In the child's only thread."""
        for hook in self._in_child:
            hook()

    def install(self) -> None:
        """Have Python call this stage at forks, unless it does already."""
        if not self._registered and hasattr(os, "register_at_fork"):  # Windows has no fork
            self._registered = True
            os.register_at_fork(
                before=self.before,
                after_in_parent=self.after_in_parent,
                after_in_child=self.after_in_child,
            )


IDS = Stage()
EXECUTORS = Stage()
SPOOL_LOCKS = Stage()
STORES = Stage()
TRACERS = Stage()
_ORDER = (IDS, EXECUTORS, SPOOL_LOCKS, STORES, TRACERS)
