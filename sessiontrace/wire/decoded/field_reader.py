"""The fields of protobuf messages, and the attributes of OTLP in them.

Pure, no thread owns it. ``FieldReader`` has two forms: ``_field_reader_c``, compiled when the
package is installed and a C compiler is there, and ``_field_reader_py``, which is the
specification; both read the same values.
"""

from __future__ import annotations

try:
    from sessiontrace.wire.decoded._field_reader_c import FieldReader
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.wire.decoded._field_reader_py import (  # type: ignore[assignment]
        FieldReader,
    )

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "FieldReader"]
