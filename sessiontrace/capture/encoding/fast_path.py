"""The fast path of the encoder: a small plain value becomes JSON in one step.

Runs in the user's thread for everything that is captured. ``classify`` and ``encode_fast`` have two
forms: ``_fast_path_c``, compiled when the package is installed and a C compiler is there, and
``_fast_path_py``, which is the specification. Invariant: which form is in use changes how long
capture takes, never what is recorded.
"""

from __future__ import annotations

from sessiontrace.capture.encoding._fast_path_py import CAP, DEPTH, ROOM

try:
    from sessiontrace.capture.encoding._fast_path_c import classify, encode_fast
except ImportError:
    from sessiontrace.capture.encoding._fast_path_py import classify, encode_fast

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["CAP", "COMPILED", "DEPTH", "ROOM", "classify", "encode_fast"]
