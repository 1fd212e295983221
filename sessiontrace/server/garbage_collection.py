"""Garbage collection for a process that makes and frees thousands of objects for each request.

Process-wide, called once by the thread that starts the server or its reader. Invariant: only how
often Python looks for cycles changes, never whether it does.
"""

from __future__ import annotations

import gc

__all__ = ["tune_garbage_collection"]

_YOUNG_OBJECTS = (
    100_000  # objects: decoded requests hold many, all of them alive and none in a cycle
)


def tune_garbage_collection() -> None:
    """Exempt all objects so far from collection, and collect new ones less often."""
    gc.collect()
    if hasattr(gc, "freeze"):  # PyPy has none
        gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
