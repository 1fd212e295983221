# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``record_layout``.

Invariant: they give what the forms in ``_record_layout_py`` give, and read nothing outside of
``body``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp, memcpy

from sessiontrace.model.record import EVENT
from sessiontrace.wire.encoded._record_layout_py import BASE_TYPES, Layout

cdef extern from "Python.h":
    double PyOS_string_to_double(const char *s, char **endptr, PyObject *overflow) except? -1.0

cdef object _new = tuple.__new__
cdef object _Layout = Layout
cdef double _LONGEST = 1e15


cdef inline bint _is(const char *raw, Py_ssize_t at, Py_ssize_t size, bytes text) noexcept:
    """Whether the text is at a position of ``size`` bytes."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(text)
    return at >= 0 and at + length <= size and memcmp(raw + at, PyBytes_AS_STRING(text), length) == 0


cdef Py_ssize_t _find(const char *raw, Py_ssize_t at, Py_ssize_t size, bytes text) noexcept:
    """The first position of the text from ``at`` on, or -1; it begins with a comma or a quote."""
    cdef const char *sought = PyBytes_AS_STRING(text)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(text)
    cdef const char *place
    while at + length <= size:
        place = <const char *>memchr(raw + at, sought[0], size - length + 1 - at)
        if place == NULL:
            return -1
        if memcmp(place, sought, length) == 0:
            return place - raw
        at = place - raw + 1
    return -1


cdef Py_ssize_t _rfind(const char *raw, Py_ssize_t start, Py_ssize_t end, bytes text) noexcept:
    """The last position of the text between ``start`` and ``end``, or -1."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(text)
    cdef Py_ssize_t at = end - length
    cdef char first = PyBytes_AS_STRING(text)[0]
    while at >= start:
        if raw[at] == first and memcmp(raw + at, PyBytes_AS_STRING(text), length) == 0:
            return at
        at -= 1
    return -1


cdef Py_ssize_t _number(const char *raw, Py_ssize_t at, Py_ssize_t end, int64_t *number) noexcept:
    """The position after the digits at a position, 1 to 15 of them; -1 without."""
    cdef Py_ssize_t start = at
    number[0] = 0
    while at < end and c"0" <= raw[at] <= c"9":
        if at - start == 15:
            return -1
        number[0] = number[0] * 10 + (raw[at] - c"0")
        at += 1
    return at if at > start else -1


cdef bint _is_float(const char *raw, Py_ssize_t at, Py_ssize_t end) noexcept:
    if at >= end or not (c"0" <= raw[at] <= c"9"):
        return False
    while at < end:
        if not (c"0" <= raw[at] <= c"9" or memchr(b".eE+-", raw[at], 5) != NULL):
            return False
        at += 1
    return True


cdef Py_ssize_t _flat_end(const char *raw, Py_ssize_t at, Py_ssize_t end) noexcept:
    """The position after the object at a position; -1 if it has objects in it."""
    if at >= end or raw[at] != c"{":
        return -1
    at += 1
    while at < end:
        if raw[at] == c"}":
            return at + 1
        if raw[at] == c"{":
            return -1
        if raw[at] == c'"':
            at += 1
            while at < end and raw[at] != c'"':
                at += 2 if raw[at] == c"\\" else 1
        at += 1
    return -1


cdef Py_ssize_t _ids_end(const char *raw, Py_ssize_t at, Py_ssize_t end) noexcept:
    """The position after a list of ids that opened before ``at``; -1 if it is another list."""
    cdef int i
    while at + 39 <= end:
        if raw[at] != c'"' or raw[at + 37] != c'"':
            return -1
        for i in range(1, 37):
            if not (c"0" <= raw[at + i] <= c"9" or c"a" <= raw[at + i] <= c"f" or raw[at + i] == c"-"):
                return -1
        at += 39
        if raw[at - 1] == c"]":
            return at
        if raw[at - 1] != c",":
            return -1
    return -1


cdef bint _read_payloads(const char *raw, Py_ssize_t size, Cut *cut) noexcept:
    """Whether inputs and outputs, the first of which begins behind the tab, are laid out so."""
    cdef Py_ssize_t tab = cut.tab, end
    cdef const char *place = <const char *>memchr(raw + tab + 1, c"\t", size - tab - 1)
    cut.inputs = cut.outputs = -1
    if place == NULL:
        return False
    end = place - raw
    is_last = end + 2 == size and raw[end + 1] == c"}"
    if _is(raw, tab - 11, tab, b',"outputs":'):
        cut.outputs, cut.outputs_end = tab + 1, end
        return is_last
    if not _is(raw, tab - 10, tab, b',"inputs":'):
        return False
    cut.inputs, cut.inputs_end = tab + 1, end
    if is_last:
        return True
    if not _is(raw, end + 1, size, b',"outputs":\t'):
        return False
    cut.outputs = end + 13
    place = <const char *>memchr(raw + cut.outputs, c"\t", size - cut.outputs)
    if place == NULL:
        return False
    cut.outputs_end = place - raw
    return cut.outputs_end + 2 == size and raw[cut.outputs_end + 1] == c"}"


cdef unsigned char _DIGITS[256]  # the value of a hex digit, 255 for any other byte
cdef int _PLACES[16]  # of the first digit of each byte in a UUID
_PLACES[:] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]


cdef void _fill_digits():
    cdef int byte
    for byte in range(256):
        _DIGITS[byte] = 255
    for byte in range(10):
        _DIGITS[48 + byte] = byte
    for byte in range(6):
        _DIGITS[65 + byte] = _DIGITS[97 + byte] = 10 + byte


_fill_digits()


cdef bint _read_uuid(const char *text, unsigned char *to) noexcept:
    """Whether 36 letters are a UUID, whose bytes it writes."""
    cdef unsigned char high, low, wrong = 0
    cdef int i
    for i in range(16):
        high = _DIGITS[<unsigned char>text[_PLACES[i]]]
        low = _DIGITS[<unsigned char>text[_PLACES[i] + 1]]
        wrong |= high | low
        to[i] = high << 4 | low
    return wrong < 16 and text[8] == text[13] == text[18] == text[23] == c"-"


cdef bint _read_span(const char *text, unsigned char *span) noexcept:
    """Whether 36 letters are a UUID whose last 8 bytes, which it writes, are not all zeros."""
    cdef unsigned char identifier[16]
    cdef int i
    if not _read_uuid(text, identifier):
        return False
    memcpy(span, identifier + 8, 8)
    for i in range(8):
        if span[i]:
            return True
    return False


cdef bint _read_times(const char *raw, Cut *cut) except -1:
    """Whether the times are laid out as capture writes them; reads them."""
    cdef Py_ssize_t name = cut.name, digits, place
    cdef char *stop
    place = _number(raw, cut.times + 14, name, &cut.start_ms)
    cut.start_nanos = 0
    if _is(raw, place, name, b',"start_nanos":'):
        digits = place + 15
        place = _number(raw, digits, name, &cut.start_nanos)
        if place - digits > 6:
            return False
    if not _is(raw, place, name, b',"end_time":'):
        return False
    place = _number(raw, place + 12, name, &cut.end_ms)
    if not _is(raw, place, name, b',"duration":') or not _is_float(raw, place + 12, name):
        return False
    cut.duration_ms = PyOS_string_to_double(raw + place + 12, &stop, NULL)
    return stop - raw == name and cut.duration_ms <= _LONGEST


cdef bint read_layout(const char *raw, Py_ssize_t size, Cut *cut) except -1:
    cdef const char *tab
    cut.at = 101
    if _is(raw, 101, size, b'","parent_id":"') and size >= 152:
        cut.at = 152
    if not (
        _is(raw, 0, size, b'{"event_id":"')
        and _is(raw, 49, size, b'","session_id":"')
        and _is(raw, cut.at, size, b'","event_type":"')
        and (cut.at == 101 or _read_span(raw + 116, cut.parent_span))
        and _read_span(raw + 13, cut.span)
        and _read_uuid(raw + 65, cut.trace)
    ):
        return False
    cut.times = _find(raw, cut.at, size, b',"start_time":')
    if cut.times < 0:
        return False
    cut.name = _find(raw, cut.times, size, b',"event_name":')
    if cut.name < 0 or not _read_times(raw, cut):
        return False
    tab = <const char *>memchr(raw + cut.name, c"\t", size - cut.name)
    if tab == NULL:
        return False
    cut.tab = tab - raw
    if not _read_payloads(raw, size, cut):
        return False
    cut.flat = _find(raw, cut.name, cut.tab, b',"metadata":')
    cut.flat_end = -1 if cut.flat < 0 else _flat_end(raw, cut.flat + 12, cut.tab)
    _read_children(raw, cut)
    return True


cdef void _read_children(const char *raw, Cut *cut) noexcept:
    """Note where the ids of children are, which come last, so behind the metadata if it is flat."""
    cdef Py_ssize_t first = cut.name if cut.flat_end < 0 else cut.flat_end, tab = cut.tab, ids
    cut.children = _rfind(raw, first, tab, b',"children_ids":[')
    if cut.children < 0:
        return
    ids = cut.ids_end = _ids_end(raw, cut.children + 17, tab)
    if ids < 0 or not (
        (tab - ids == 10 and _is(raw, ids, tab, b',"inputs":'))
        or (tab - ids == 11 and _is(raw, ids, tab, b',"outputs":'))
    ):
        cut.children = -1


cdef bytes shape_of(const char *raw, Cut *cut, const char *suffix, Py_ssize_t suffix_size):
    cdef Py_ssize_t first = cut.name, whole = cut.times - cut.at + cut.tab - cut.name
    if cut.flat_end >= 0:
        whole -= cut.flat_end - cut.flat
    if cut.children >= 0:
        whole -= cut.ids_end - cut.children
    cdef bytes shape = PyBytes_FromStringAndSize(NULL, whole + suffix_size)
    cdef char *to = _put(PyBytes_AS_STRING(shape), raw + cut.at, cut.times - cut.at)
    if cut.flat_end >= 0:
        to = _put(to, raw + first, cut.flat - first)
        first = cut.flat_end
    if cut.children >= 0:
        to = _put(to, raw + first, cut.children - first)
        first = cut.ids_end
    to = _put(to, raw + first, cut.tab - first)
    _put(to, suffix, suffix_size)
    return shape


cdef inline char *_put(char *to, const char *text, Py_ssize_t size) noexcept:
    memcpy(to, text, size)
    return to + size


cdef inline bytes _piece(const char *raw, Py_ssize_t start, Py_ssize_t end):
    """These bytes; None where ``start`` is negative."""
    return None if start < 0 else PyBytes_FromStringAndSize(raw + start, end - start)


def layout_of(bytes body not None):
    cdef const char *raw = PyBytes_AS_STRING(body)
    cdef Cut cut
    if not read_layout(raw, PyBytes_GET_SIZE(body), &cut):
        return None
    has_parent = cut.at == 152
    return _new(_Layout, (
        shape_of(raw, &cut, NULL, 0),
        _piece(raw, cut.flat + 12 if cut.flat_end >= 0 else -1, cut.flat_end),
        _piece(raw, cut.children + 16 if cut.children >= 0 else -1, cut.ids_end),
        PyBytes_FromStringAndSize(raw + 13, 36),
        PyBytes_FromStringAndSize(raw + 65, 36),
        PyBytes_FromStringAndSize(raw + 116, 36) if has_parent else b"",
        PyBytes_FromStringAndSize(<const char *>cut.trace, 16),
        PyBytes_FromStringAndSize(<const char *>cut.span, 8),
        PyBytes_FromStringAndSize(<const char *>cut.parent_span, 8) if has_parent else b"",
        cut.start_ms,
        cut.start_nanos,
        cut.end_ms,
        cut.duration_ms,
        _piece(raw, cut.inputs, cut.inputs_end),
        _piece(raw, cut.outputs, cut.outputs_end),
    ))


cdef tuple _base_types = BASE_TYPES


cdef bint _has_base_type(bytes body):
    cdef const char *raw = PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef bytes text
    for text in _base_types:
        if _is(raw, 152, size, text):
            return True
    return False


def plain_events(list kinds not None, list bodies not None):
    cdef list plain = []
    cdef bytes body
    cdef Py_ssize_t i
    for i in range(min(PyList_GET_SIZE(kinds), PyList_GET_SIZE(bodies))):
        body = bodies[i]
        if kinds[i] == EVENT and _has_base_type(body):
            plain.append(_without_nanos(body))
        else:
            plain.append(None)
    return plain


def without_nanos(bytes body not None):
    return _without_nanos(body)


cdef bytes _without_nanos(bytes body):
    cdef const char *raw = PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t start = _find(raw, 101, min(size, 4096), b',"start_nanos":')
    if start < 0:
        return body
    cdef Py_ssize_t digits = start + 15
    cdef const char *end = <const char *>memchr(raw + digits, c",", min(size - digits, 7))
    if end == NULL:
        return body
    cdef Py_ssize_t tail = size - (end - raw)
    cdef bytes shorter = PyBytes_FromStringAndSize(NULL, start + tail)
    memcpy(PyBytes_AS_STRING(shorter), raw, start)
    memcpy(PyBytes_AS_STRING(shorter) + start, end, tail)
    return shorter
