"""The piece of text that most chunks of a streamed chat completion hold, and nothing else.

On the thread that reads the stream. ``TextPieces`` has two forms: ``_text_piece_c``, compiled when
the package is installed and a C compiler is there, and ``_text_piece_py``, which is the
specification. Invariant: what is taken here needs no other look.
"""

from __future__ import annotations

try:
    from sessiontrace.instrumentation.openai_family._text_piece_c import TextPieces
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.instrumentation.openai_family._text_piece_py import TextPieces

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "TextPieces"]
