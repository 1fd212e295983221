"""ASGI servers: the application that a worker loads gets the middleware.

``install`` runs where the worker imports the server, the wrapper when the worker loads its
application. Only ``sessiontrace run`` instruments servers by default; a program wraps its own
application with ``st.asgi``. Invariant: an application that is wrapped twice still gives one
session for each request.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any, ClassVar

from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.web.asgi import Asgi

__all__ = ["AsgiServer"]


class AsgiServer:
    """What the instrumentors of servers share.

    The server's class ``loader_class`` loads the application in its method ``load_method``, which
    leaves it in the attribute ``app_attribute``.
    """

    loader_class: ClassVar[str]
    load_method: ClassVar[str]
    app_attribute: ClassVar[str]

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the applications that are loaded from now on."""
        attribute = self.app_attribute

        def wrap(original: Any) -> Any:
            @functools.wraps(original)
            def load(server: Any) -> None:
                original(server)
                app = getattr(server, attribute, None)
                if calls.enabled and app is not None:
                    setattr(server, attribute, Asgi(app, calls.tracer))

            return load

        self._patcher.patch(getattr(module, self.loader_class), self.load_method, wrap)

    def uninstall(self) -> None:
        """Leave the applications that are loaded from now on as they are."""
        self._patcher.restore()
