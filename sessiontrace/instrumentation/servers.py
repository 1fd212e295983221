"""uvicorn: the applications it loads get the ASGI middleware, in every worker.

Runs when a worker loads its application. Only ``sessiontrace run`` asks for it by itself; a program
of its own accord wraps its application with ``st.asgi``. Invariant: an application that is wrapped
twice still gives one session for each request.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.asgi import Asgi
from sessiontrace.instrumentation.calls import Calls

__all__ = ["Uvicorn"]


class Uvicorn:
    """The instrumentor of uvicorn: ``Config.load`` gives a wrapped application."""

    name = "uvicorn"

    def __init__(self) -> None:
        self._config: Any = None
        self._original: Any = None

    def install(self, module: ModuleType, calls: Calls) -> None:
        """Wrap what ``load`` loads."""
        config: Any = module.Config
        original = config.load
        if hasattr(original, "_sessiontrace"):
            return

        @functools.wraps(original)
        def load(self: Any) -> None:
            original(self)
            if calls.enabled:
                self.loaded_app = Asgi(self.loaded_app, calls.switch)

        load._sessiontrace = True  # type: ignore[attr-defined]
        self._config, self._original = config, original
        config.load = load

    def uninstall(self) -> None:
        """Applications loaded from now on are left as they are."""
        if self._config is not None and hasattr(self._config.load, "_sessiontrace"):
            self._config.load = self._original
