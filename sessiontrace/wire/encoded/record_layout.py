"""A record's body in the layout that capture writes, cut into what varies and what repeats.

Pure functions over bytes, no thread owns them. Nothing is decoded. They have two forms:
``_record_layout_c``, compiled when the package is installed and a C compiler is there, and
``_record_layout_py``, which is the specification. Invariant: two bodies with equal ``shape`` are
the same JSON except for the other values of their ``Layout``, if for one of them these values are
those that decoding gives.
"""

from __future__ import annotations

from sessiontrace.wire.encoded._record_layout_py import Layout

try:
    from sessiontrace.wire.encoded._record_layout_c import layout_of, plain_events, without_nanos
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.encoded._record_layout_py import layout_of, plain_events, without_nanos

    COMPILED = False
    """Whether the compiled forms are in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "Layout", "layout_of", "plain_events", "without_nanos"]
