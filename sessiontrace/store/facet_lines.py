"""The facets of one record, each as a line with its line breaks, and those of a session.

Pure, no thread owns it. ``lines_of`` and ``add_lines`` have two forms: ``_facet_lines_c``, compiled
when the package is installed and a C compiler is there, and ``_facet_lines_py``, which is the
specification; both give the same lines.
"""

from __future__ import annotations

try:
    from sessiontrace.store._facet_lines_c import add_lines, lines_of
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.store._facet_lines_py import add_lines, lines_of

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "add_lines", "lines_of"]
