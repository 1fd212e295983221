"""The fast path of the encoder: a small plain value becomes JSON in one step.

A value is plain iff all of these hold:

* it is exactly a ``str``, ``int``, ``float``, ``bool``, ``None``, ``datetime.date``,
  ``uuid.UUID``, or a ``datetime.datetime`` without a time zone or with a ``datetime.timezone``; or
  it is exactly a ``dict``, ``list`` or ``tuple`` of plain values, nested at most ``depth`` deep;
* its keys are exactly ``str``, of at most ``KEY_MAX`` characters (a longer key is walked);
* its texts have at most ``room`` characters together, less 8 for every item of a container;
* no text is a medium (``media.is_media``).

A plain value needs redaction iff one of its keys or texts must be masked (``clean_text_cache``).

Runs in the user's thread for everything that is captured. ``classify`` and ``encode_fast`` have two
forms: ``_fast_path_c``, compiled when the package is installed and a C compiler is there, and
``_fast_path_py``, which is the specification. Invariant: which form is in use changes how long
capture takes, never what is recorded.
"""

from __future__ import annotations

from sessiontrace.capture.encoding._fast_path_py import CAP, DEPTH, ROOM

try:
    from sessiontrace.capture.encoding._fast_path_c import classify, encode_fast
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.capture.encoding._fast_path_py import classify, encode_fast

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["CAP", "COMPILED", "DEPTH", "ROOM", "classify", "encode_fast"]
