"""An event laid out from what was read of a span: its fields in their order, and its id.

Pure, no thread owns it. ``event_of`` and ``derived_id`` have two forms: ``_event_layout_c``,
compiled when the package is installed and a C compiler is there, and ``_event_layout_py``, which is
the specification; both give the same fields and ids.
"""

from __future__ import annotations

from sessiontrace.server.apis.otlp._event_layout_py import fields_of

try:
    from sessiontrace.server.apis.otlp._event_layout_c import derived_id, event_of
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.server.apis.otlp._event_layout_py import derived_id, event_of

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "derived_id", "event_of", "fields_of"]
