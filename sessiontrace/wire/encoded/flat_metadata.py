"""The entries of an encoded object of texts, numbers and flags, found without decoding it.

A pure function, no thread owns it. ``entries_of`` has two forms: ``_flat_metadata_c``, compiled
when the package is installed and a C compiler is there, and ``_flat_metadata_py``, which is the
specification; both give the same for every valid JSON.
"""

from __future__ import annotations

from sessiontrace.wire.encoded._flat_metadata_py import FLAG, FLOAT, INT, TEXT

try:
    from sessiontrace.wire.encoded._flat_metadata_c import entries_of
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.encoded._flat_metadata_py import entries_of

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "FLAG", "FLOAT", "INT", "TEXT", "entries_of"]
