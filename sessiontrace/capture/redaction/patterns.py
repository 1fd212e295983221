"""The patterns of secrets in texts: tokens, keys, logins, card numbers; pure, from any thread.

``may_contain_secret`` has two forms: ``_patterns_c``, compiled when the package is installed and a
C compiler is there, and ``_patterns_py``. By design they may differ in which clean texts they let
pass; ``mask_secrets`` decides. Invariant: both are true of every text that ``mask_secrets`` would
change or that names a secret, so which form is in use never changes what is recorded.
"""

from __future__ import annotations

from sessiontrace.capture.redaction._patterns_py import NAME_MAX
from sessiontrace.capture.redaction.text_masks import EMAIL, MASK, SHORTEST_SECRET, mask_secrets
from sessiontrace.capture.redaction.tokens import TOKENS

try:
    from sessiontrace.capture.redaction._patterns_c import may_contain_secret
except ImportError:
    from sessiontrace.capture.redaction._patterns_py import may_contain_secret

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = [
    "COMPILED",
    "EMAIL",
    "MASK",
    "NAME_MAX",
    "SHORTEST_SECRET",
    "TOKENS",
    "mask_secrets",
    "may_contain_secret",
]
