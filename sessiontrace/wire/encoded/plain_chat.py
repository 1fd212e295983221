"""The messages of a chat in encoded JSON, found by their quotes where each is a role and a text.

Pure functions, no thread owns them. ``plain_messages`` has two forms: ``_plain_chat_c``, compiled
when the package is installed and a C compiler is there, and ``_plain_chat_py``, which is the
specification; both give the same for every valid JSON.
"""

from __future__ import annotations

from sessiontrace.wire.encoded._plain_chat_py import text_end

try:
    from sessiontrace.wire.encoded._plain_chat_c import plain_messages
except ImportError:
    from sessiontrace.wire.encoded._plain_chat_py import plain_messages

    COMPILED = False
    """Whether the compiled form of ``plain_messages`` is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "plain_messages", "text_end"]
