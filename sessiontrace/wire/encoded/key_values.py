"""Attributes as protobuf's ``KeyValue`` messages.

Pure functions, no thread owns them. ``key_values`` has two forms: ``_key_values_c``, compiled when
the package is installed and a C compiler is there, and ``_key_values_py``, which is the
specification; both write the same bytes.
"""

from __future__ import annotations

try:
    from sessiontrace.wire.encoded._key_values_c import key_values
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.encoded._key_values_py import key_values

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "key_values"]
