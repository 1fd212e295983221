# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``outlines`` and ``touched``; see ``outline``.

Invariant: they give what the forms in ``_outline_py`` give. A record that capture did not lay out is
left to ``folding.decode``.
"""

from libc.string cimport memchr, memcmp

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

import orjson

from sessiontrace.model.json_depth import RECORD_DEPTH_MAX
from sessiontrace.model.record import END, EVENT, START, UPDATE, Record
from sessiontrace.store import folding, models
from sessiontrace.store.judging.entries import JUDGEMENTS
from sessiontrace.store.judging.history import noted
from sessiontrace.store.sqlite.fresh import _outline_py

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* How many braces and brackets open in a text. They differ in the bit of lower case alone. */
    static Py_ssize_t opened(const char *text, Py_ssize_t size) {
        const uint64_t low = 0x7f7f7f7f7f7f7f7fULL, ones = 0x0101010101010101ULL;
        Py_ssize_t at = 0, count = 0;
        for (; at + 8 <= size; at += 8) {
            uint64_t word, other;
            memcpy(&word, text + at, 8);
            other = (word | 0x2020202020202020ULL) ^ 0x7b7b7b7b7b7b7b7bULL;
            other = ~(((other & low) + low) | other | low) >> 7;
            count += (Py_ssize_t)((other * ones) >> 56);
        }
        for (; at < size; at++)
            count += (text[at] | 0x20) == 0x7b;
        return count;
    }
    """
    Py_ssize_t opened(const char *text, Py_ssize_t size) noexcept

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef object _Record = Record
cdef object _Decoded = folding.DecodedRecord
cdef object _decode = folding.decode
cdef object _legal = folding.legal
cdef object _noted = noted
cdef object _loads = orjson.loads
cdef object _JSONDecodeError = orjson.JSONDecodeError
cdef object _Touched = _outline_py.Touched
cdef object _new = tuple.__new__
cdef bytes _EVENT = EVENT
cdef bytes _START = START
cdef bytes _END = END
cdef bytes _UPDATE = UPDATE
cdef str _JUDGEMENTS = JUDGEMENTS
cdef Py_ssize_t _DEPTH = RECORD_DEPTH_MAX, _ID_MAX = models.ID_MAX
cdef long long _LATEST_MS = 1 << 53


def outlines(records, Py_ssize_t first, now, dict refused not None):
    """The legal records, decoded; adds the reasons for the others to ``refused``, by index."""
    cdef list legal = []
    for record in records:
        decoded = _outline(record)
        if type(decoded) is str:
            refused[first] = decoded
        elif (<tuple>decoded)[0] == _UPDATE:
            legal.append(_noted(decoded, now))
        else:
            legal.append(decoded)
        first += 1
    return legal


cdef object _outline(record):
    cdef bytes kind, body
    cdef str text
    cdef dict event
    cdef Py_ssize_t size
    if type(record) is not _Record or type((<tuple>record)[2]) is not bytes:
        return _decode(record)
    kind, body = <bytes?>(<tuple>record)[0], <bytes>(<tuple>record)[2]
    size = 0 if kind == _UPDATE else _head(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    if size == 0:
        return _decode(record)
    head = PyBytes_FromStringAndSize(PyBytes_AS_STRING(body), size + 1)
    PyBytes_AS_STRING(head)[size] = 125
    try:
        text = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), NULL)
        event = <dict>_loads(head)
    except (UnicodeDecodeError, _JSONDecodeError):
        return _decode(record)
    if (kind == _EVENT or kind == _START or kind == _END) and _is_plain(event):
        return _new(_Decoded, (kind, event, text))
    return _legal(kind, event, text)


cdef bint _is_plain(dict event):
    """Whether the fields that an event must have are as they are almost always."""
    start = event.get("start_time")
    return (
        _is_id(event.get("event_id"))
        and _is_id(event.get("session_id"))
        and type(start) is int
        and 0 <= start < _LATEST_MS
    )


cdef bint _is_id(value):
    return type(value) is str and 0 < len(<str>value) <= _ID_MAX


cdef Py_ssize_t _head(const char *body, Py_ssize_t size):
    """The size of the fields before encoded inputs and outputs; 0 where these are not the last."""
    cdef const char *first
    cdef const char *end
    cdef const char *last = body + size - 2
    cdef Py_ssize_t length
    if size < 16 or body[0] != 123 or last[0] != 9 or last[1] != 125:
        return 0
    if opened(body, size) > _DEPTH:
        return 0
    first = <const char *>memchr(body, 9, size)
    length = first - body
    end = <const char *>memchr(first + 1, 9, last - first) if first < last else NULL
    if end == NULL:
        return 0
    if length > 10 and memcmp(first - 10, b',"inputs":', 10) == 0:
        if end == last:
            return length - 10
        if last - end < 12 or memcmp(end + 1, b',"outputs":', 11) != 0 or end[12] != 9:
            return 0
        return length - 10 if memchr(end + 13, 9, last - end - 12) == last else 0
    if length > 11 and memcmp(first - 11, b',"outputs":', 11) == 0 and end == last:
        return length - 11
    return 0


def touched(list records not None):
    """What decoded records touch."""
    cdef list event_ids = [], judging = [], with_media = []
    cdef set session_ids = set(), changed = set()
    cdef tuple decoded
    cdef dict event
    last = None
    for record in records:
        decoded = <tuple>record  # a named tuple, whose type is not tuple itself
        event = <dict?>decoded[1]
        event_id, session_id = event["event_id"], event["session_id"]
        if session_id is not last:
            session_ids.add(session_id)
            last = session_id
        if decoded[0] == _EVENT or event_id != session_id:
            event_ids.append(event_id)
        else:
            changed.add(session_id)
        if _JUDGEMENTS in event:
            judging.append(record)
        if _names_stored(<str?>decoded[2]):
            with_media.append(record)
    return _Touched(event_ids, session_ids, changed, judging, with_media)


cdef bint _names_stored(str body) except -1:
    """Whether ``"stored":true`` is in a text; it has few colons."""
    cdef Py_ssize_t size
    cdef const char *start = PyUnicode_AsUTF8AndSize(body, &size)
    cdef const char *end = start + size
    cdef const char *at = start
    while True:
        at = <const char *>memchr(at, 58, end - at)
        if at == NULL:
            return False
        at += 1
        if at - start > 8 and end - at >= 4 and memcmp(at - 9, b'"stored":true', 13) == 0:
            return True
