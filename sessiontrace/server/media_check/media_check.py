"""Whether a record may hold or describe media: a look at its JSON costs less than at its values.

Pure, no thread owns it. ``may_hold_media`` has two forms: ``_media_check_c``, compiled when the
package is installed and a C compiler is there, and ``_media_check_py``, which is the specification;
both give the same answers.
"""

from __future__ import annotations

try:
    from sessiontrace.server.media_check._media_check_c import may_hold_media
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.server.media_check._media_check_py import may_hold_media

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "may_hold_media"]
