# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``record_layout``.

Invariant: they give what the forms in ``_record_layout_py`` give, and read nothing outside of
``body``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp, memcpy

from sessiontrace.wire.encoded._record_layout_py import Layout

cdef extern from "Python.h":
    double PyOS_string_to_double(const char *s, char **endptr, object overflow) except? -1.0

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


cdef tuple _payloads(const char *raw, Py_ssize_t tab, Py_ssize_t size):
    """Inputs and outputs, the first of which begins behind ``tab``; None in another layout."""
    cdef const char *place = <const char *>memchr(raw + tab + 1, c"\t", size - tab - 1)
    if place == NULL:
        return None
    cdef Py_ssize_t end = place - raw, second, last
    first = PyBytes_FromStringAndSize(raw + tab + 1, end - tab - 1)
    is_last = end + 2 == size and raw[end + 1] == c"}"
    if _is(raw, tab - 11, tab, b',"outputs":'):
        return (None, first) if is_last else None
    if not _is(raw, tab - 10, tab, b',"inputs":'):
        return None
    if is_last:
        return first, None
    if not _is(raw, end + 1, size, b',"outputs":\t'):
        return None
    second = end + 13
    place = <const char *>memchr(raw + second, c"\t", size - second)
    if place == NULL:
        return None
    last = place - raw
    if last + 2 != size or raw[last + 1] != c"}":
        return None
    return first, PyBytes_FromStringAndSize(raw + second, last - second)


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


cdef bytes _last_half(const unsigned char *identifier):
    """The last 8 of 16 bytes; None if they are all zeros."""
    cdef int i
    for i in range(8, 16):
        if identifier[i]:
            return PyBytes_FromStringAndSize(<const char *>identifier + 8, 8)
    return None


def layout_of(bytes body not None):
    cdef const char *raw = PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t at = 101, times, name, tab, place
    cdef int64_t start_ms = 0, nanos = 0, end_ms = 0
    cdef Py_ssize_t digits
    cdef unsigned char identifier[16]
    cdef double lasted
    cdef char *stop
    parent_id = b""
    if _is(raw, 101, size, b'","parent_id":"') and size >= 152:
        parent_id = PyBytes_FromStringAndSize(raw + 116, 36)
        at = 152
    if not (
        _is(raw, 0, size, b'{"event_id":"')
        and _is(raw, 49, size, b'","session_id":"')
        and _is(raw, at, size, b'","event_type":"')
    ):
        return None
    parent_span = b""
    if at == 152:
        if not _read_uuid(raw + 116, identifier):
            return None
        parent_span = _last_half(identifier)
    if not _read_uuid(raw + 13, identifier):
        return None
    span = _last_half(identifier)
    if span is None or parent_span is None or not _read_uuid(raw + 65, identifier):
        return None
    trace = PyBytes_FromStringAndSize(<const char *>identifier, 16)
    times = _find(raw, at, size, b',"start_time":')
    if times < 0:
        return None
    name = _find(raw, times, size, b',"event_name":')
    if name < 0:
        return None
    place = _number(raw, times + 14, name, &start_ms)
    if _is(raw, place, name, b',"start_nanos":'):
        digits = place + 15
        place = _number(raw, digits, name, &nanos)
        if place - digits > 6:
            return None
    if not _is(raw, place, name, b',"end_time":'):
        return None
    place = _number(raw, place + 12, name, &end_ms)
    if not _is(raw, place, name, b',"duration":') or not _is_float(raw, place + 12, name):
        return None
    try:
        lasted = PyOS_string_to_double(raw + place + 12, &stop, OverflowError)
    except (ValueError, OverflowError):
        return None
    if stop - raw != name or lasted > _LONGEST:
        return None
    cdef const char *mark = <const char *>memchr(raw + name, c"\t", size - name)
    if mark == NULL:
        return None
    tab = mark - raw
    payloads = _payloads(raw, tab, size)
    if payloads is None:
        return None
    cdef Py_ssize_t flat = _find(raw, name, tab, b',"metadata":'), flat_end = -1
    metadata = None
    if flat >= 0:
        flat_end = _flat_end(raw, flat + 12, tab)
        if flat_end >= 0:
            metadata = PyBytes_FromStringAndSize(raw + flat + 12, flat_end - flat - 12)
    shape, children = _shape(raw, at, times, name, tab, flat, flat_end)
    return _new(_Layout, (
        shape,
        metadata,
        children,
        PyBytes_FromStringAndSize(raw + 13, 36),
        PyBytes_FromStringAndSize(raw + 65, 36),
        parent_id,
        trace,
        span,
        parent_span,
        start_ms,
        nanos,
        end_ms,
        lasted,
        payloads[0],
        payloads[1],
    ))


cdef tuple _shape(
    const char *raw, Py_ssize_t at, Py_ssize_t times, Py_ssize_t name, Py_ssize_t tab,
    Py_ssize_t flat, Py_ssize_t flat_end,
):
    """What is left of a body without its values, its flat metadata and its children; these."""
    cdef Py_ssize_t children, ids, last = tab, second, i
    cdef Py_ssize_t starts[4]
    cdef Py_ssize_t ends[4]
    cdef Py_ssize_t count = 0, whole = 0
    starts[0], ends[0] = at, times
    starts[1], ends[1] = name, tab
    count = 2
    if flat_end >= 0:
        ends[1] = flat
        starts[2], ends[2] = flat_end, tab
        count = 3
    # The ids of children come last, so behind the metadata or without any.
    ids_of_children = None
    children = _rfind(raw, starts[count - 1], tab, b',"children_ids":[')
    if children >= 0:
        ids = _ids_end(raw, children + 17, tab)
        if ids >= 0 and (
            (tab - ids == 10 and _is(raw, ids, tab, b',"inputs":'))
            or (tab - ids == 11 and _is(raw, ids, tab, b',"outputs":'))
        ):
            ids_of_children = PyBytes_FromStringAndSize(raw + children + 16, ids - children - 16)
            ends[count - 1] = children
            starts[count], ends[count] = ids, tab
            count += 1
    for i in range(count):
        whole += ends[i] - starts[i]
    shape = PyBytes_FromStringAndSize(NULL, whole)
    cdef char *to = PyBytes_AS_STRING(shape)
    for i in range(count):
        memcpy(to, raw + starts[i], ends[i] - starts[i])
        to += ends[i] - starts[i]
    return shape, ids_of_children


def without_nanos(bytes body not None):
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
