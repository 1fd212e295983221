"""What the module of an instrumented library declares: its instrumentor, and when to install it.

Pure declarations. Invariant: the registry reads each ``ENTRY`` from the module's text, so that a
library which is not installed never causes the import of its instrumentor.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple, Protocol

from sessiontrace.instrumentation.core.model_calls import CallRecorder

__all__ = ["Entry", "Instrumentor"]


class Instrumentor(Protocol):
    """Installs the hooks for one library.

    The registry calls ``install`` on the thread that imports the library, once the module that the
    instrumentor waits for has been imported, and again when the module is reloaded. What
    ``install`` raises appears in the report for this library and goes no further.
    """

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Put the hooks into ``module``; they record to ``calls``."""
        ...

    def uninstall(self) -> None:
        """Take the hooks out."""
        ...


class Entry(NamedTuple):
    """One library in the registry.

    ``name``: as ``instrument()`` takes it and the report shows it. ``target``: the module to wait
    for. ``make``: creates the instrumentor, when the target has been imported. ``by_default``:
    whether ``instrument()`` without names includes the library. ``serves``: the libraries that
    speak through this one, which is instrumented with any of them. ``also``: further modules to
    wait for; ``install`` is called with each.
    """

    name: str
    target: str
    make: Callable[[], Instrumentor]
    by_default: bool = True
    serves: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
