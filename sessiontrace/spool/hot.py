"""Hot: what the spool does for every record, compiled where that was possible.

Called in users' threads, under the spool's lock. ``lay`` is that of ``_hot``, which is made when
the package is installed and a C compiler is there, else that of ``frame``. Invariant: which one is
in use changes how long it takes, never what is written.
"""

from __future__ import annotations

__all__ = ["COMPILED", "lay"]

try:
    from sessiontrace.spool._hot import lay
except ImportError:
    from sessiontrace.spool.frame import lay

    COMPILED = False
else:
    COMPILED = True
