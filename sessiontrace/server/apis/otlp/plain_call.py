"""Adds plain model calls to the records of a request, in one step each.

No thread owns it. Most spans of a program that calls models are such calls: names of the
conventions only, messages of one text each, no events, no error. ``PlainCalls`` and ``identify``
have two forms: ``_plain_call_c``, compiled when the package is installed and a C compiler is there,
and ``_plain_call_py``, which leaves every span to ``mapping``. That is the specification: what the
compiled forms do, ``mapping`` would do alike.
"""

from __future__ import annotations

try:
    from sessiontrace.server.apis.otlp._plain_call_c import PlainCalls, identify
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.server.apis.otlp._plain_call_py import (  # type: ignore[assignment]
        PlainCalls,
        identify,
    )

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "PlainCalls", "identify"]
