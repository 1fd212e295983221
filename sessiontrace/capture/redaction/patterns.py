"""The look for a secret in a new text, in the form that this installation has; from any thread.

``may_contain_secret`` has two forms: ``_patterns_c``, compiled when the package is installed and a
C compiler is there, and ``_patterns_py``. By design they may differ in which clean texts they let
pass; ``mask_secrets`` decides. Invariant: both are true of every text that ``mask_secrets`` would
change or that names a secret, so which form is in use never changes what is recorded.
"""

from __future__ import annotations

try:
    from sessiontrace.capture.redaction._patterns_c import may_contain_secret
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.capture.redaction._patterns_py import may_contain_secret

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "may_contain_secret"]
