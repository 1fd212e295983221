"""Looks for records that may describe a medium: most describe none.

No thread owns it. ``describing`` has two forms: ``_describing_c``, compiled when the package is
installed and a C compiler is there, and ``_describing_py``, which is the specification; both give
the same indexes.
"""

from __future__ import annotations

try:
    from sessiontrace.store.media._describing_c import describing
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.store.media._describing_py import describing

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "describing"]
