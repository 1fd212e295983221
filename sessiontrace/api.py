"""The module-level functions: the methods of one default tracer.

Called from any user thread; documented where they are defined, in ``tracer.py`` and
``capture/api_methods.py``. Invariant: importing this starts nothing and reads no environment; the
first ``init``, session or span does.
"""

from __future__ import annotations

from sessiontrace.tracer import Tracer

__all__ = [
    "aflush",
    "asgi",
    "ashutdown",
    "chain",
    "current_session",
    "current_span",
    "extract",
    "flush",
    "init",
    "inject",
    "instrument",
    "model",
    "score",
    "session",
    "shutdown",
    "span",
    "start_span",
    "stats",
    "stream",
    "suppress",
    "tool",
    "trace",
    "uninstrument",
    "update",
]

_default = Tracer.unconfigured()

aflush = _default.aflush
asgi = _default.asgi
ashutdown = _default.ashutdown
chain = _default.chain
current_session = _default.current_session
current_span = _default.current_span
extract = _default.extract
flush = _default.flush
init = _default.init
inject = _default.inject
instrument = _default.instrument
model = _default.model
score = _default.score
session = _default.session
shutdown = _default.shutdown
span = _default.span
start_span = _default.start_span
stats = _default.stats
stream = _default.stream
suppress = _default.suppress
tool = _default.tool
trace = _default.trace
uninstrument = _default.uninstrument
update = _default.update
