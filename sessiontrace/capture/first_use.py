"""What the API's methods load with the first configuration or session of a program.

``import sessiontrace`` does without it, because it comes with the encoders: three quarters of the
time. Invariant: no handle exists before handles can be pickled.
"""

from __future__ import annotations

from sessiontrace.capture import pickling
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.unrecorded_span import UnrecordedSpan

__all__ = ["Session", "Span", "UnrecordedSpan"]

pickling.register()
