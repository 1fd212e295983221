"""The messages of a chat in encoded JSON, found by their quotes where each is a role and a text.

Pure functions, no thread owns them. ``plain_messages`` and ``plain_parts`` have two forms:
``_plain_chat_c``, compiled when the package is installed and a C compiler is there, and
``_plain_chat_py``, which is the specification; both give the same for every valid JSON.
"""

from __future__ import annotations

from sessiontrace.wire.encoded._plain_chat_py import text_end

try:
    from sessiontrace.wire.encoded._plain_chat_c import plain_messages, plain_parts
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.encoded._plain_chat_py import plain_messages, plain_parts

    COMPILED = False
    """Whether the compiled forms are in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "plain_messages", "plain_parts", "text_end"]
