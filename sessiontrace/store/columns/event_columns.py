"""The columns that summarise one event, from its fields.

Pure, no thread owns it. ``columns_of`` has two forms: ``_event_columns_c``, compiled when the
package is installed and a C compiler is there, and ``_event_columns_py``, which is the
specification; both give the same values.
"""

from __future__ import annotations

try:
    from sessiontrace.store.columns._event_columns_c import columns_of
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.store.columns._event_columns_py import columns_of

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "columns_of"]
