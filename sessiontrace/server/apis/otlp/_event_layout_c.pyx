# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``event_of`` and ``derived_id``; see ``event_layout``.

Invariant: it gives the fields and ids that the form in ``_event_layout_py`` gives.
"""

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 highest)
    void *PyUnicode_DATA(object text)

from libc.string cimport memcpy

from sessiontrace.server.apis.otlp import _event_layout_py
from sessiontrace.server.record_builder import times_of_ns

cdef object _python_id = _event_layout_py.derived_id
cdef object _times_of_ns = times_of_ns
cdef long long _LATE_NS = 1LL << 62
cdef long long _MS_NS = 1_000_000
cdef long long _EXACT = 1LL << 53
cdef const char *_VARIANTS = b"89ab"


def derived_id(str trace_id not None, str span_id not None):
    """A UUID (version 4 in form) of a span's ids."""
    cdef const char *trace
    cdef const char *span
    cdef char *text
    cdef int digit
    if len(trace_id) != 32 or len(span_id) != 16 or not (trace_id.isascii() and span_id.isascii()):
        return _python_id(trace_id, span_id)
    trace, span = <const char *>PyUnicode_DATA(trace_id), <const char *>PyUnicode_DATA(span_id)
    digit = span[0]
    digit = digit - 48 if 48 <= digit <= 57 else digit - 87 if 97 <= digit <= 102 else -1
    if digit < 0:
        return _python_id(trace_id, span_id)
    event_id = PyUnicode_New(36, 127)
    text = <char *>PyUnicode_DATA(event_id)
    memcpy(text, trace, 8)
    text[8] = b"-"
    memcpy(text + 9, trace + 8, 4)
    text[13] = b"-"
    text[14] = b"4"
    memcpy(text + 15, trace + 13, 3)
    text[18] = b"-"
    text[19] = _VARIANTS[digit & 3]
    memcpy(text + 20, span + 1, 3)
    text[23] = b"-"
    memcpy(text + 24, span + 4, 12)
    return event_id


def event_of(span_fields, event_id, session_id, parent_id, source, start_ns, end_ns):
    """The fields of an event in their order, without those that have no value."""
    cdef tuple read = <tuple>span_fields  # a named tuple, whose type is not tuple itself
    cdef dict event = {"event_id": event_id, "session_id": session_id}
    cdef long long start, end, nanos
    cdef dict times
    if parent_id is not None:
        event["parent_id"] = parent_id
    event["event_type"] = read[0]
    event["event_name"] = read[1]
    if source is not None:
        event["source"] = source
    if 0 <= start_ns <= end_ns < _LATE_NS and end_ns - start_ns < _EXACT:
        start, end = start_ns, end_ns
        event["start_time"] = start // _MS_NS
        nanos = start % _MS_NS
        if nanos:
            event["start_nanos"] = nanos
        event["end_time"] = end // _MS_NS
        event["duration"] = <double>(end - start) / 1e6
    else:
        times = _times_of_ns(start_ns, end_ns)
        for name, value in times.items():
            if value is not None:
                event[name] = value
    event["inputs"] = read[2]
    if read[3] is not None:
        event["outputs"] = read[3]
    if read[4]:
        event["config"] = read[4]
    event["metadata"] = read[5]
    if read[6]:
        event["metrics"] = read[6]
    if read[7]:
        event["feedback"] = read[7]
    if read[8]:
        event["user_properties"] = read[8]
    if read[9] is not None:
        event["error"] = read[9]
    return event
