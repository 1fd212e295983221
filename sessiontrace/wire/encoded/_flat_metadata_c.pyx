# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``entries_of``; see ``flat_metadata``.

Invariant: for valid JSON it gives what the form in ``_flat_metadata_py`` gives, and it reads
nothing outside of ``encoded``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp


cdef const char *_text_end(const char *at, const char *end) noexcept:
    """The closing quote of a text; NULL where it has an escaped character."""
    while at < end and at[0] != c'"':
        if at[0] == c"\\":
            return NULL
        at += 1
    return at if at < end else NULL


cdef const char *_digits_end(const char *at, const char *end) noexcept:
    """The position after one digit or more; NULL where there is none."""
    cdef const char *start = at
    while at < end and c"0" <= at[0] <= c"9":
        at += 1
    return NULL if at == start else at


cdef const char *_number_end(const char *at, const char *end, Entry *entry) noexcept:
    """The position after a number; NULL where there is none that is taken."""
    cdef const char *start = at + 1 if at < end and at[0] == c"-" else at
    cdef const char *stop = _digits_end(start, end)
    cdef const char *whole = stop
    entry.value, entry.kind = at, INT
    if stop != NULL and stop < end and stop[0] == c".":
        stop = _digits_end(stop + 1, end)
    if stop != NULL and stop < end and (stop[0] == c"e" or stop[0] == c"E"):
        stop += 1
        if stop < end and (stop[0] == c"+" or stop[0] == c"-"):
            stop += 1
        stop = _digits_end(stop, end)
    if stop == NULL:
        return NULL
    if stop != whole:
        entry.kind = FLOAT
    elif stop - start > 18 or (start > at and stop - start == 1 and start[0] == c"0"):
        return NULL
    entry.value_size = stop - at
    return stop


cdef const char *_value_end(const char *at, const char *end, Entry *entry) noexcept:
    """The position after a value; NULL where there is none that is taken."""
    cdef const char *stop
    if at < end and at[0] == c'"':
        stop = _text_end(at + 1, end)
        if stop == NULL:
            return NULL
        entry.kind, entry.value, entry.value_size = TEXT, at + 1, stop - at - 1
        return stop + 1
    if end - at >= 4 and memcmp(at, b"true", 4) == 0:
        entry.kind, entry.value, entry.value_size = FLAG, at, 4
        return at + 4
    if end - at >= 5 and memcmp(at, b"false", 5) == 0:
        entry.kind, entry.value, entry.value_size = FLAG, at, 5
        return at + 5
    return _number_end(at, end, entry)


cdef bint _is_new(const Entry *entries, int count) noexcept:
    """Whether no entry before the one at ``count`` has its key."""
    cdef int i
    cdef const Entry *entry = &entries[count]
    for i in range(count):
        if entries[i].key_size == entry.key_size and (
            memcmp(entries[i].key, entry.key, entry.key_size) == 0
        ):
            return False
    return True


cdef int read_entries(const char *raw, Py_ssize_t size, Entry *entries) noexcept:
    cdef const char *at = raw
    cdef const char *last = raw + size - 1
    cdef const char *stop
    cdef Entry *entry
    cdef int count = 0
    if size < 2 or raw[0] != c"{" or last[0] != c"}":
        return 0
    while at < last:
        if count == ENTRIES_MAX or (count and at[0] != c",") or at[1] != c'"':
            return 0
        entry = &entries[count]
        entry.key = at + 2
        stop = _text_end(at + 2, last)
        if stop == NULL or stop + 1 >= last or stop[1] != c":":
            return 0
        entry.key_size = stop - entry.key
        at = _value_end(stop + 2, last, entry)
        if at == NULL or not _is_new(entries, count):
            return 0
        count += 1
    return count


def entries_of(bytes encoded not None):
    cdef Entry entries[ENTRIES_MAX]
    cdef int i, count = read_entries(
        PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded), entries
    )
    if not count:
        return None
    return [
        (
            PyBytes_FromStringAndSize(entries[i].key, entries[i].key_size),
            <int>entries[i].kind,
            PyBytes_FromStringAndSize(entries[i].value, entries[i].value_size),
        )
        for i in range(count)
    ]
