"""A plain span of a chat, read in one step: names of the conventions, messages of one text each.

Pure, no thread owns it. Both functions have two forms: ``_plain_span_c``, compiled when the package
is installed and a C compiler is there, and ``_plain_span_py``, which leaves every span to
``span_reader``. That reader is the specification: what the compiled form reads, it reads alike.
"""

from __future__ import annotations

try:
    from sessiontrace.wire.decoded._plain_span_c import encoded_chat, plain_chat
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.decoded._plain_span_py import encoded_chat, plain_chat

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "encoded_chat", "plain_chat"]
