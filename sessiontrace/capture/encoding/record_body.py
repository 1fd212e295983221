"""The bytes of a record: its own fields first, and behind them what users gave.

Runs in the user's thread, once for every event. ``encode_event`` has two forms:
``_record_body_c``, compiled when the package is installed and a C compiler is there, and
``_record_body_py``, which is the specification. Invariant: which form is in use never changes the
bytes.
"""

from __future__ import annotations

from sessiontrace.capture.encoding._record_body_py import assemble

try:
    from sessiontrace.capture.encoding._record_body_c import encode_event
except ImportError:
    from sessiontrace.capture.encoding._record_body_py import encode_event

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "assemble", "encode_event"]
