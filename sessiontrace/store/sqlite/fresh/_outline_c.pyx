# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``outlines`` and ``touched``; see ``outline``.

Invariant: they give what the forms in ``_outline_py`` give, or the row of an event in the place of
its record. A record that capture did not lay out is left to ``folding.decode``.
"""

from libc.string cimport memchr, memcmp

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_1BYTE_DATA

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
cdef object _ENDED = models.ENDED
cdef list _last_texts = [None] * 6  # of each field, as most events have that of the event before
cdef double[16] _POWERS = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15
]

cdef enum:
    EVENT_ID, SESSION_ID, PARENT_ID, EVENT_TYPE, EVENT_NAME, SOURCE
    START_TIME, START_NANOS, END_TIME, DURATION
    FIELDS

cdef struct Field:
    const char *start  # NULL where the record has none
    Py_ssize_t size
    long long digits  # of a number, without its point
    Py_ssize_t places  # behind the point; -1 without one


def outlines(records, Py_ssize_t first, now, dict refused not None):
    """The legal records, decoded; adds the reasons for the others to ``refused``, by index."""
    cdef list legal = []
    for record in records:
        decoded = _outline(record)
        if type(decoded) is str:
            refused[first] = decoded
        elif type(decoded) is not tuple and (<tuple>decoded)[0] == _UPDATE:
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
    if type(record) is _Decoded:
        return record
    if type(record) is not _Record or type((<tuple>record)[2]) is not bytes:
        return _decode(record)
    kind, body = <bytes?>(<tuple>record)[0], <bytes>(<tuple>record)[2]
    size = 0 if kind == _UPDATE else _head(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    if size == 0:
        return _decode(record)
    if kind == _EVENT:
        decoded = _row(body, size)
        if decoded is not None:
            return decoded
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


cdef object _row(bytes body, Py_ssize_t size):
    """The row of an event with few fields, all of them plain; None for any other."""
    cdef Field[10] fields
    cdef const char *start = PyBytes_AS_STRING(body)
    cdef object end = None, duration = None
    if not _read_fields(start + 1, start + size, fields):
        return None
    if _names_stored(start, start + PyBytes_GET_SIZE(body)):
        return None
    if fields[END_TIME].start != NULL:
        end = fields[END_TIME].digits
    if fields[DURATION].start != NULL:
        duration = <double>fields[DURATION].digits
        if fields[DURATION].places > 0:
            duration = <double>fields[DURATION].digits / _POWERS[fields[DURATION].places]
    elif end is not None:
        duration = <double>(fields[END_TIME].digits - fields[START_TIME].digits)
    try:
        text = PyUnicode_DecodeUTF8(start, PyBytes_GET_SIZE(body), NULL)
    except UnicodeDecodeError:
        return None
    return (
        _new_text(fields[EVENT_ID].start, fields[EVENT_ID].size), _text(fields, SESSION_ID),
        _text(fields, PARENT_ID) if fields[PARENT_ID].size else None, _text(fields, EVENT_TYPE),
        _text(fields, EVENT_NAME), fields[START_TIME].digits, end, duration, _ENDED, 0, 0, 0, 0, 0,
        3, text, 0,
    )


cdef bint _read_fields(const char *at, const char *end, Field *fields) noexcept:
    """Read the fields; whether they are those of an event that needs no look at anything else."""
    cdef const char *quote
    cdef int number
    for number in range(FIELDS):
        fields[number].start = NULL
        fields[number].size = 0
    while True:
        if at >= end or at[0] != 34:
            return False
        quote = <const char *>memchr(at + 1, 34, end - at - 1)
        if quote == NULL or end - quote < 3 or quote[1] != 58:
            return False
        number = _field(at + 1, quote - at - 1)
        if number < 0:
            return False
        if number < START_TIME:
            at = _read_text(quote + 2, end, &fields[number])
        else:
            at = _read_number(quote + 2, end, &fields[number])
        if at == NULL or (number < DURATION and number >= START_TIME and fields[number].places >= 0):
            return False
        if at == end:
            break
        if at[0] != 44:
            return False
        at += 1
    return (
        0 < fields[EVENT_ID].size <= _ID_MAX
        and 0 < fields[SESSION_ID].size <= _ID_MAX
        and fields[EVENT_TYPE].size > 0
        and fields[EVENT_NAME].size > 0
        and fields[START_TIME].start != NULL
        and not (
            fields[EVENT_ID].size == fields[SESSION_ID].size
            and memcmp(fields[EVENT_ID].start, fields[SESSION_ID].start, fields[EVENT_ID].size) == 0
        )
    )


cdef int _field(const char *name, Py_ssize_t size) noexcept:
    """The number of a field; -1 for one that only some events have."""
    if size == 10:
        if memcmp(name, b"session_id", 10) == 0:
            return SESSION_ID
        if memcmp(name, b"event_type", 10) == 0:
            return EVENT_TYPE
        if memcmp(name, b"event_name", 10) == 0:
            return EVENT_NAME
        if memcmp(name, b"start_time", 10) == 0:
            return START_TIME
    elif size == 8:
        if memcmp(name, b"event_id", 8) == 0:
            return EVENT_ID
        if memcmp(name, b"end_time", 8) == 0:
            return END_TIME
        if memcmp(name, b"duration", 8) == 0:
            return DURATION
    elif size == 9 and memcmp(name, b"parent_id", 9) == 0:
        return PARENT_ID
    elif size == 6 and memcmp(name, b"source", 6) == 0:
        return SOURCE
    elif size == 11 and memcmp(name, b"start_nanos", 11) == 0:
        return START_NANOS
    return -1


cdef const char *_read_text(const char *at, const char *end, Field *field) noexcept:
    """Read a text of printable ASCII without escapes; what follows it, or NULL."""
    cdef const char *start = at + 1
    if at[0] != 34:
        return NULL
    at = start
    while at < end and at[0] != 34:
        if not 32 <= at[0] <= 126 or at[0] == 92:
            return NULL
        at += 1
    if at >= end:
        return NULL
    field.start, field.size = start, at - start
    return at + 1


cdef const char *_read_number(const char *at, const char *end, Field *field) noexcept:
    """Read a number of at most 15 digits, which a double holds exactly; what follows, or NULL."""
    cdef const char *start = at
    cdef Py_ssize_t count = 0
    field.start, field.digits, field.places = start, 0, -1
    while at < end and count < 16:
        if 48 <= at[0] <= 57:
            field.digits = field.digits * 10 + (at[0] - 48)
            count += 1
            if field.places >= 0:
                field.places += 1
        elif at[0] == 46 and field.places < 0 and count:
            field.places = 0
        else:
            break
        at += 1
    if not 0 < count < 16 or field.places == 0:
        return NULL
    if start[0] == 48 and at - start > 1 and start[1] != 46:
        return NULL
    return at


cdef object _text(Field *fields, int number):
    cdef Py_ssize_t size = fields[number].size
    last = _last_texts[number]
    if (
        last is not None
        and len(<str>last) == size
        and memcmp(PyUnicode_1BYTE_DATA(last), fields[number].start, size) == 0
    ):
        return last
    text = _new_text(fields[number].start, size)
    if size <= 256:
        _last_texts[number] = text
    return text


cdef object _new_text(const char *start, Py_ssize_t size):
    return PyUnicode_DecodeUTF8(start, size, NULL)


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
    if size < 16 or body[0] != 123 or body[1] != 34 or last[0] != 9 or last[1] != 125:
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
    cdef const char *start
    cdef Py_ssize_t size
    last = None
    for record in records:
        decoded = <tuple>record  # a row, or a named tuple, whose type is not tuple itself
        if type(record) is tuple:
            event_ids.append(decoded[0])
            if decoded[1] is not last:
                last = decoded[1]
                session_ids.add(last)
            continue
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
        start = PyUnicode_AsUTF8AndSize(<str?>decoded[2], &size)
        if _names_stored(start, start + size):
            with_media.append(record)
    return _Touched(event_ids, session_ids, changed, judging, with_media)


cdef bint _names_stored(const char *start, const char *end) noexcept:
    """Whether ``"stored":true`` is in a text; it has few colons."""
    cdef const char *at = start
    while True:
        at = <const char *>memchr(at, 58, end - at)
        if at == NULL:
            return False
        at += 1
        if at - start > 8 and end - at >= 4 and memcmp(at - 9, b'"stored":true', 13) == 0:
            return True
