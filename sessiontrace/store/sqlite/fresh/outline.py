"""What folding reads of a batch of records, and what the batch touches.

No thread owns it. Folding reads no inputs and outputs, so those that capture encoded are not
decoded. The functions have two forms: ``_outline_c``, compiled when the package is installed and a
C compiler is there, and ``_outline_py``, which is the specification; both give the same values.
"""

from __future__ import annotations

from sessiontrace.store.sqlite.fresh._outline_py import Touched

try:
    from sessiontrace.store.sqlite.fresh._outline_c import outlines, touched
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.store.sqlite.fresh._outline_py import outlines, touched

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "Touched", "outlines", "touched"]
