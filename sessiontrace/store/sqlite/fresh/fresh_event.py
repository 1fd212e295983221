"""Folds an event of which nothing is stored into its session, and returns its row.

No thread owns it. Most events are written once and whole, so this is what the intake does to each.
``fold_fresh`` and ``fold_records`` have two forms: ``_fresh_event_c``, compiled when the package is
installed and a C compiler is there, and ``_fresh_event_py``, which is the specification; both give
the same rows and leave the sessions in the same state.
"""

from __future__ import annotations

try:
    from sessiontrace.store.sqlite.fresh._fresh_event_c import fold_fresh, fold_records
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.store.sqlite.fresh._fresh_event_py import fold_fresh, fold_records

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "fold_fresh", "fold_records"]
