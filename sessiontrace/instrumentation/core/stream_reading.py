"""The iterators that stand for those of a stream, and what they note of its reading.

On the thread or task that reads the stream. The classes have two forms: ``_stream_reading_c``,
compiled when the package is installed and a C compiler is there, and ``_stream_reading_py``, which
is the specification. Invariant: the reader gets every chunk and every exception as the stream gave
it.

Classes, not generators: a generator around an (async) generator races with the closing of the inner
one when a half-read stream is dropped.
"""

from __future__ import annotations

try:
    from sessiontrace.instrumentation.core._stream_reading_c import (
        AsyncReader,
        LoopedReader,
        Reader,
        StreamReading,
    )
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.instrumentation.core._stream_reading_py import (
        AsyncReader,
        LoopedReader,
        Reader,
        StreamReading,
    )

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "AsyncReader", "LoopedReader", "Reader", "StreamReading"]
