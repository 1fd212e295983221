"""Hot: the functions that take most of a capture's time, compiled where that was possible.

Called in users' threads. They are those of ``_hot``, which is made when the package is installed
and a C compiler is there, else those of ``plain``, ``envelope`` and ``shapes``. Invariant: which
ones are in use changes how long capture takes, never what is recorded.
"""

from __future__ import annotations

__all__ = ["COMPILED", "look", "quick", "step", "suspicious"]

try:
    from sessiontrace.capture._hot import look, quick, step, suspicious
except ImportError:
    from sessiontrace.capture.encoding.fast_path import look, quick
    from sessiontrace.capture.encoding.record_body import step
    from sessiontrace.capture.redaction.patterns import suspicious

    COMPILED = False
    """Whether the compiled forms are in use."""
else:
    COMPILED = True
