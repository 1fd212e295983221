# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``FieldReader``; see ``field_reader``.

Invariant: it reads what the form in ``_field_reader_py`` reads. A message is a stretch of the
request's bytes: no bytes object is made for the messages within attributes.
"""

import base64
from collections import defaultdict

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from sessiontrace.wire.protobuf import FIELDS_MAX, GarbledError, TooManyFieldsError
from sessiontrace.wire.received_span import DEPTH, ReceivedSpan, finite

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef int _VARINT = 0, _EIGHT = 1, _BYTES = 2, _FOUR = 5
cdef int _DEPTH = DEPTH
cdef int _FAILED = 2


cdef struct Field:
    uint64_t number
    int kind
    uint64_t value  # of a varint
    const unsigned char *at  # of all others
    Py_ssize_t size


cdef inline const unsigned char *_varint(
    const unsigned char *at, const unsigned char *end, uint64_t *value
) noexcept:
    """The position after a number; NULL where there is none."""
    cdef int shift = 0
    cdef unsigned char byte
    value[0] = 0
    while at < end:
        byte = at[0]
        at += 1
        value[0] |= (<uint64_t>(byte & 127)) << shift
        if byte < 128:
            return at
        shift += 7
        if shift > 63:
            return NULL
    return NULL


cdef inline const unsigned char *_next(
    const unsigned char *at, const unsigned char *end, Field *field
) noexcept:
    """The position after a field; NULL where the bytes are not a field."""
    cdef uint64_t tag, size
    at = _varint(at, end, &tag)
    if at == NULL or tag >> 3 == 0:
        return NULL
    field.number = tag >> 3
    field.kind = tag & 7
    if field.kind == _VARINT:
        return _varint(at, end, &field.value)
    if field.kind == _BYTES:
        at = _varint(at, end, &size)
        if at == NULL:
            return NULL
    elif field.kind == _EIGHT:
        size = 8
    elif field.kind == _FOUR:
        size = 4
    else:
        return NULL  # groups: no message of OpenTelemetry's ever had one
    if size > <uint64_t>(end - at):
        return NULL
    field.at, field.size = at, <Py_ssize_t>size
    return at + field.size


cdef inline object _text(const Field *field):
    return PyUnicode_DecodeUTF8(<const char *>field.at, field.size, "replace")


# Producers repeat the names of attributes: one text of each is enough, and dicts find it by its
# identity. Two names that meet in one place take turns there.
cdef list _names = [None] * 1024
cdef Py_ssize_t _NAME_BYTES = 64


cdef inline object _name(const Field *field):
    """The text of an attribute's name."""
    cdef uint64_t place = field.size
    cdef Py_ssize_t at, size
    cdef const char *text
    if field.size > _NAME_BYTES:
        return _text(field)
    for at in range(field.size):
        place = (place ^ field.at[at]) * 1099511628211u
    place ^= place >> 32
    name = _names[place & 1023]
    if name is not None:
        text = PyUnicode_AsUTF8AndSize(name, &size)
        if size == field.size and memcmp(text, field.at, size) == 0:
            return name
    name = _text(field)
    if (<str>name).isascii():
        _names[place & 1023] = name
    return name


cdef inline str _hex(const Field *field):
    return PyBytes_FromStringAndSize(<const char *>field.at, field.size).hex()


cdef inline bint _is_id(const Field *field, Py_ssize_t size) noexcept:
    """Whether the field is an id of so many bytes, not all of them zero."""
    cdef Py_ssize_t at
    if field.size != size:
        return False
    for at in range(size):
        if field.at[at]:
            return True
    return False


cdef class FieldReader:
    """Reads the messages of one request, which share a limit of fields."""

    cdef int64_t _left

    def __init__(self, most=FIELDS_MAX):
        self._left = most

    def fields(self, bytes message not None):
        """The fields of a message, by number and wire type, in order."""
        cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(message)
        cdef const unsigned char *end = at + PyBytes_GET_SIZE(message)
        cdef Field field
        cdef int64_t count = 0
        fields = defaultdict(list)
        while at < end:
            at = _next(at, end, &field)
            if at == NULL:
                raise GarbledError
            count += 1
            if field.kind == _VARINT:
                value = field.value
            else:
                value = PyBytes_FromStringAndSize(<const char *>field.at, field.size)
            (<list>fields[field.number, field.kind]).append(value)
        self._count(count)
        return fields

    cdef int _count(self, int64_t count) except -1:
        self._left -= count
        if self._left < 0:
            raise TooManyFieldsError
        return 0

    def attributes(self, list messages not None, int depth=_DEPTH):
        """The object of a list of ``KeyValue``, its values at most ``depth`` levels deep."""
        cdef bytes message
        cdef dict attributes = {}
        cdef const unsigned char *at
        for message in messages:
            at = <const unsigned char *>PyBytes_AS_STRING(message)
            self._pair(attributes, at, at + PyBytes_GET_SIZE(message), depth)
        return attributes

    def value(self, bytes message not None, int depth=_DEPTH):
        """The value of an ``AnyValue``; bytes in base64, as in JSON."""
        cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(message)
        return self._value(at, at + PyBytes_GET_SIZE(message), depth)

    cdef int _pair(
        self, dict attributes, const unsigned char *at, const unsigned char *end, int depth
    ) except -1:
        cdef Field field, key, value
        cdef int64_t count = 0
        cdef int values = 0
        cdef bytes joined
        key.at, key.size = NULL, 0
        value.at, value.size = NULL, 0
        joined = None
        while at < end:
            at = _next(at, end, &field)
            if at == NULL:
                raise GarbledError
            count += 1
            if field.kind != _BYTES:
                continue
            if field.number == 1:
                key = field
            elif field.number == 2:
                if values:  # a message that comes twice is merged
                    if joined is None:
                        joined = PyBytes_FromStringAndSize(<const char *>value.at, value.size)
                    joined += PyBytes_FromStringAndSize(<const char *>field.at, field.size)
                value = field
                values += 1
        self._count(count)
        name = "" if key.at == NULL else _name(&key)
        if joined is not None:
            attributes[name] = self.value(joined, depth)
        else:
            attributes[name] = self._value(value.at, value.at + value.size, depth)
        return 0

    cdef object _value(self, const unsigned char *at, const unsigned char *end, int depth):
        cdef Field field, value
        cdef int64_t count = 0
        cdef double number
        cdef bint is_set = False
        if depth == 0:
            return None
        while at < end:
            at = _next(at, end, &field)
            if at == NULL:
                raise GarbledError
            count += 1
            if not is_set:
                is_set = _is_value(&field)
                if is_set:
                    value = field
            elif field.number == value.number and field.kind == value.kind:
                value = field  # of several, the last one counts
        self._count(count)
        if not is_set:
            return None
        if value.kind == _VARINT:
            return value.value != 0 if value.number == 2 else <int64_t>value.value
        if value.kind == _EIGHT:
            memcpy(&number, value.at, 8)
            return number if isfinite(number) else finite(number)
        if value.number == 1:
            return _text(&value)
        if value.number == 7:
            encoded = PyBytes_FromStringAndSize(<const char *>value.at, value.size)
            return base64.b64encode(encoded).decode()
        return self._several(value.at, value.at + value.size, depth - 1, value.number == 6)

    cdef object _several(
        self, const unsigned char *at, const unsigned char *end, int depth, bint is_pairs
    ):
        """The items of an array, or the pairs of an object."""
        cdef Field field
        cdef int64_t count = 0
        cdef const unsigned char *begin = at
        cdef dict pairs = {}
        cdef list items = []
        while at < end:  # first as a whole: a broken list has no items
            at = _next(at, end, &field)
            if at == NULL:
                raise GarbledError
            count += 1
        self._count(count)
        at = begin
        while at < end:
            at = _next(at, end, &field)
            if field.number != 1 or field.kind != _BYTES:
                continue
            if is_pairs:
                self._pair(pairs, field.at, field.at + field.size, depth)
            else:
                items.append(self._value(field.at, field.at + field.size, depth))
        return pairs if is_pairs else items


    def span(self, bytes message not None, dict resource not None, str scope not None):
        """The span of a ``Span``; None without ids."""
        cdef const unsigned char *begin = <const unsigned char *>PyBytes_AS_STRING(message)
        cdef const unsigned char *end = begin + PyBytes_GET_SIZE(message)
        cdef const unsigned char *at = begin
        cdef Field field, trace_id, span_id, parent, title
        cdef uint64_t start_ns = 0, end_ns = 0
        cdef int64_t count = 0
        cdef list statuses = [], events = [], links = []
        cdef dict attributes = {}
        trace_id.size = span_id.size = parent.size = title.size = 0
        while at < end:
            at = _next(at, end, &field)
            if at == NULL:
                raise GarbledError
            count += 1
            if field.kind == _EIGHT:
                if field.number == 7:
                    start_ns = _little(&field)
                elif field.number == 8:
                    end_ns = _little(&field)
            elif field.kind != _BYTES:
                continue
            elif field.number == 1:
                trace_id = field
            elif field.number == 2:
                span_id = field
            elif field.number == 4:
                parent = field
            elif field.number == 5:
                title = field
            elif field.number == 11:
                events.append(_bytes(&field))
            elif field.number == 13:
                links.append(_bytes(&field))
            elif field.number == 15:
                statuses.append(_bytes(&field))
        self._count(count)
        if not _is_id(&trace_id, 16) or not _is_id(&span_id, 8):
            return None
        failed, text = self._status(b"".join(statuses)) if statuses else (False, "")
        at = begin
        while at < end:
            at = _next(at, end, &field)
            if field.number == 9 and field.kind == _BYTES:
                self._pair(attributes, field.at, field.at + field.size, _DEPTH)
        return ReceivedSpan(
            _hex(&trace_id),
            _hex(&span_id),
            _hex(&parent) if _is_id(&parent, 8) else None,
            (_text(&title) if title.size else "") or "unknown",
            start_ns,
            max(start_ns, end_ns),
            attributes,
            resource,
            scope,
            failed,
            text,
            [self._event(event) for event in events] if events else [],
            [link for item in links if (link := self._link(item))] if links else [],
        )

    cdef tuple _status(self, bytes message):
        """Whether the status is an error, and its message."""
        fields = self.fields(message)
        codes = fields[3, _VARINT]
        return bool(codes) and _last(codes) == _FAILED, _last_text(fields[2, _BYTES])

    cdef tuple _event(self, bytes message):
        fields = self.fields(message)
        return _last_text(fields[2, _BYTES]), self.attributes(fields[3, _BYTES])

    cdef dict _link(self, bytes message):
        """A linked span; None for one without ids."""
        fields = self.fields(message)
        traces, spans = fields[1, _BYTES], fields[2, _BYTES]
        if not traces or not spans:
            return None
        trace_id, span_id = _last(traces), _last(spans)
        if len(trace_id) != 16 or len(span_id) != 8:
            return None
        link = {"trace_id": trace_id.hex(), "span_id": span_id.hex()}
        if attributes := self.attributes(fields[4, _BYTES]):
            link["attributes"] = attributes
        return link


cdef inline object _last(list values):
    return values[len(values) - 1]


cdef inline str _last_text(list values):
    return _last(values).decode(errors="replace") if values else ""


cdef inline bytes _bytes(const Field *field):
    return PyBytes_FromStringAndSize(<const char *>field.at, field.size)


cdef inline uint64_t _little(const Field *field) noexcept:
    """Eight bytes as a number, the lowest first."""
    cdef uint64_t value = 0
    cdef int at
    for at in range(7, -1, -1):
        value = value << 8 | field.at[at]
    return value


cdef inline bint _is_value(const Field *field) noexcept:
    """Whether the field is one of an ``AnyValue`` that is read."""
    if field.kind == _BYTES:
        return field.number == 1 or 5 <= field.number <= 7
    if field.kind == _VARINT:
        return field.number == 2 or field.number == 3
    return field.kind == _EIGHT and field.number == 4
