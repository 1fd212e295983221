"""uvicorn and gunicorn: the ASGI applications they load get the middleware, in every worker.

Runs when a worker loads its application. Only ``sessiontrace run`` asks for it by itself; a program
of its own accord wraps its application with ``st.asgi``. Invariant: an application that is wrapped
twice still gives one session for each request.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.web.asgi import Asgi

__all__ = ["Server"]


class Server:
    """The instrumentor of one server: what its ``kind.load`` leaves in ``held`` is wrapped."""

    def __init__(self, name: str, kind: str, load: str, held: str) -> None:
        self.name = name
        self._kind, self._load, self._held = kind, load, held
        self._owner: Any = None
        self._original: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap what it loads from now on."""
        owner: Any = getattr(module, self._kind)
        original = owner.__dict__[self._load]
        if hasattr(original, "_sessiontrace"):
            return
        held = self._held

        @functools.wraps(original)
        def load(self: Any) -> None:
            original(self)
            app = getattr(self, held, None)
            if calls.enabled and app is not None:
                setattr(self, held, Asgi(app, calls.switch))

        load._sessiontrace = True  # type: ignore[attr-defined]
        self._owner, self._original = owner, original
        setattr(owner, self._load, load)

    def uninstall(self) -> None:
        """Applications loaded from now on are left as they are."""
        if self._owner is not None and hasattr(self._owner.__dict__[self._load], "_sessiontrace"):
            setattr(self._owner, self._load, self._original)
