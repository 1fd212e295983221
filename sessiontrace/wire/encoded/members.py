"""The members of an encoded object and the items of an encoded array, cut out without decoding.

Pure functions, no thread owns them. ``members_of`` and ``items_of`` have two forms: ``_members_c``,
compiled when the package is installed and a C compiler is there, and ``_members_py``, which is the
specification; both give the same for every valid JSON.
"""

from __future__ import annotations

try:
    from sessiontrace.wire.encoded._members_c import items_of, members_of
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.encoded._members_py import items_of, members_of

    COMPILED = False
    """Whether the compiled forms are in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "items_of", "members_of"]
