"""gunicorn: its ASGI worker loads the application.

The mechanism is ``AsgiServer``. Invariant: without ``sessiontrace run`` it is instrumented only
by name.
"""

from __future__ import annotations

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.web.asgi_server import AsgiServer


class Gunicorn(AsgiServer):
    """The instrumentor of gunicorn."""

    loader_class = "ASGIWorker"
    load_method = "load_wsgi"
    app_attribute = "asgi"


ENTRY = Entry(name="gunicorn", target="gunicorn.workers.gasgi", make=Gunicorn, by_default=False)
