# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``encode_event``; see ``record_body``.

Runs in users' threads, always with the interpreter's lock. The form in ``_record_body_py``
encodes every record for which joining bytes is not enough. Invariant: the bytes are those of that
form.
"""

import orjson

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, strlen

from sessiontrace.capture.encoding import _record_body_py

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef object _dumps = orjson.dumps
cdef const char *_PAIRS = (
    b"00010203040506070809101112131415161718192021222324"
    b"25262728293031323334353637383940414243444546474849"
    b"50515253545556575859606162636465666768697071727374"
    b"75767778798081828384858687888990919293949596979899"
)

cdef enum:
    TEXT_MAX = 512          # characters of each text among the record's own fields
    FIRST_MAX = 4096        # of all of those fields: six texts, four numbers, and their names
    CHILD_MAX = 36

# orjson writes a shorter duration with an exponent, a longer one with the rounded digits of a float.
cdef int64_t _shortest_ns = 10, _longest_ns = 1_000_000_000_000_000


cdef bint _is_simple(object text, Py_ssize_t longest) noexcept:
    """Whether a text needs no escapes in JSON, and has at most ``longest`` characters."""
    if type(text) is not str or not PyUnicode_IS_ASCII(text):
        return False
    cdef Py_ssize_t i, length = PyUnicode_GET_LENGTH(text)
    if length > longest:
        return False
    cdef const uint8_t *data = <const uint8_t *>PyUnicode_DATA(text)
    for i in range(length):
        if data[i] < 32 or data[i] == b'"' or data[i] == b"\\":
            return False
    return True


cdef inline char *_put(char *to, const char *what, Py_ssize_t length) noexcept:
    memcpy(to, what, length)
    return to + length


cdef inline char *_put_word(char *to, const char *word) noexcept:
    return _put(to, word, strlen(word))


cdef inline char *_put_text(char *to, object text) noexcept:
    return _put(to, <const char *>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))


cdef inline char *_put_bytes(char *to, bytes what) noexcept:
    return _put(to, PyBytes_AS_STRING(what), PyBytes_GET_SIZE(what))


cdef char *_put_number(char *to, uint64_t number) noexcept:
    """Two digits at a time: a division takes most of the time."""
    cdef char digits[20]
    cdef int at = 20
    cdef uint32_t pair
    while number >= 100:
        pair = 2 * <uint32_t>(number % 100)
        number = number // 100
        at -= 2
        digits[at] = _PAIRS[pair]
        digits[at + 1] = _PAIRS[pair + 1]
    if number >= 10:
        at -= 2
        digits[at] = _PAIRS[2 * number]
        digits[at + 1] = _PAIRS[2 * number + 1]
    else:
        at -= 1
        digits[at] = <char>(48 + number)
    return _put(to, digits + at, 20 - at)


cdef char *_put_milliseconds(char *to, int64_t ns) noexcept:
    """As orjson writes the float ``ns / 1_000_000``: at least one digit after the point, and no
    zeros at the end."""
    cdef int64_t digits = ns % 1_000_000
    cdef int places = 6, i
    to = _put_number(to, ns // 1_000_000)
    to[0] = b"."
    while places > 1 and digits % 10 == 0:
        digits = digits // 10
        places -= 1
    for i in range(places, 0, -1):
        to[i] = <char>(48 + digits % 10)
        digits = digits // 10
    return to + 1 + places


def encode_event(
    event_id, session_id, parent_id, event_type, source, start, end, name, parts, children,
    inputs, outputs,
):
    encoded = _encode_simple(
        event_id, session_id, parent_id, event_type, source, start, end, name, parts, children,
        inputs, outputs,
    )
    if encoded is not None:
        return encoded
    return _record_body_py.encode_event(
        event_id, session_id, parent_id, event_type, source, start, end, name, parts, children,
        inputs, outputs,
    )


cdef bytes _encode_simple(
    object event_id, object session_id, object parent_id, object event_type, object source,
    int64_t start, object end, object name, dict parts, list children,
    bytes inputs, bytes outputs,
):
    """The record; None where joining bytes is not enough."""
    cdef int64_t end_ns = start + _shortest_ns if end is None else end
    if start < 0 or not _shortest_ns <= end_ns - start < _longest_ns:
        return None
    if not (_is_simple(event_id, TEXT_MAX) and _is_simple(session_id, TEXT_MAX)):
        return None
    if parent_id is not None and not _is_simple(parent_id, TEXT_MAX):
        return None
    if not _is_simple(event_type, TEXT_MAX):
        return None
    if not (_is_simple(source, TEXT_MAX) and _is_simple(name, TEXT_MAX)):
        return None

    cdef char first[FIRST_MAX]
    cdef char *to = first
    to = _put_text(_put_word(to, b'{"event_id":"'), event_id)
    to = _put_text(_put_word(to, b'","session_id":"'), session_id)
    if parent_id is not None:
        to = _put_text(_put_word(to, b'","parent_id":"'), parent_id)
    to = _put_text(_put_word(to, b'","event_type":"'), event_type)
    to = _put_text(_put_word(to, b'","source":"'), source)
    to = _put_number(_put_word(to, b'","start_time":'), start // 1_000_000)
    if end is not None:
        if start % 1_000_000:
            to = _put_number(_put_word(to, b',"start_nanos":'), start % 1_000_000)
        to = _put_number(_put_word(to, b',"end_time":'), end_ns // 1_000_000)
        to = _put_milliseconds(_put_word(to, b',"duration":'), end_ns - start)
    to = _put_text(_put_word(to, b',"event_name":"'), name)
    to = _put_word(to, b'"')
    cdef Py_ssize_t size = to - first

    cdef bytes fields = None
    if parts:
        try:
            fields = _dumps(parts)
        except TypeError:
            return None
        size += PyBytes_GET_SIZE(fields) - 1  # a comma for two braces

    # No other code runs from here to the end, so the list cannot change.
    cdef Py_ssize_t i, count = 0 if children is None else PyList_GET_SIZE(children)
    if children is not None:
        size += strlen(b',"children_ids":[]')
        for i in range(count):
            if not _is_simple(<object>PyList_GET_ITEM(children, i), CHILD_MAX):
                return None
            size += PyUnicode_GET_LENGTH(<object>PyList_GET_ITEM(children, i)) + 3
        size -= count > 0
    if inputs is not None:
        size += strlen(b',"inputs":\t\t') + PyBytes_GET_SIZE(inputs)
    if outputs is not None:
        size += strlen(b',"outputs":\t\t') + PyBytes_GET_SIZE(outputs)
    record = PyBytes_FromStringAndSize(NULL, size + 1)

    to = _put(PyBytes_AS_STRING(record), first, to - first)
    if fields is not None:
        to = _put_word(to, b",")
        to = _put(to, PyBytes_AS_STRING(fields) + 1, PyBytes_GET_SIZE(fields) - 2)
    if children is not None:
        to = _put_word(to, b',"children_ids":[')
        for i in range(count):
            to = _put_word(to, b',"' if i else b'"')
            to = _put_text(to, <object>PyList_GET_ITEM(children, i))
            to = _put_word(to, b'"')
        to = _put_word(to, b"]")
    if inputs is not None:
        to = _put_bytes(_put_word(to, b',"inputs":\t'), inputs)
        to = _put_word(to, b"\t")
    if outputs is not None:
        to = _put_bytes(_put_word(to, b',"outputs":\t'), outputs)
        to = _put_word(to, b"\t")
    _put_word(to, b"}")
    return record
