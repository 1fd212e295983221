"""uvicorn: its configuration loads the application, in every worker and after every reload.

The mechanism is ``AsgiServer``. Invariant: without ``sessiontrace run`` it is instrumented only
by name.
"""

from __future__ import annotations

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.web.asgi_server import AsgiServer


class Uvicorn(AsgiServer):
    """The instrumentor of uvicorn."""

    loader_class = "Config"
    load_method = "load"
    app_attribute = "loaded_app"


ENTRY = Entry(name="uvicorn", target="uvicorn.config", make=Uvicorn, by_default=False)
