"""Values between the constant parts of a template.

A pure function, no thread owns it. ``fill`` has two forms: ``_filling_c``, compiled when the
package is installed and a C compiler is there, and ``_filling_py``, which is the specification.
"""

from __future__ import annotations

try:
    from sessiontrace.wire.encoded._filling_c import fill
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.encoded._filling_py import fill

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "fill"]
