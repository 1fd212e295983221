# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``members_of`` and ``items_of``; see ``members``.

Invariant: for valid JSON they give what the forms in ``_members_py`` give, and they read nothing
outside of ``encoded``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr


cdef const char *_text_end(const char *at, const char *end) noexcept:
    """The position after the text whose opening quote is before ``at``."""
    cdef const char *quote
    cdef const char *before
    while True:
        quote = <const char *>memchr(at, c'"', end - at)
        if quote == NULL:
            return end
        before = quote
        while before > at and (before - 1)[0] == c"\\":
            before -= 1
        if (quote - before) % 2 == 0:
            return quote + 1
        at = quote + 1


cdef const char *_piece_end(const char *at, const char *end) noexcept:
    """The next comma that is not within braces; ``end`` without one."""
    cdef Py_ssize_t depth = 0
    cdef char letter
    while at < end:
        letter = at[0]
        at += 1
        if letter == c'"':
            at = _text_end(at, end)
        elif letter == c"{" or letter == c"[":
            depth += 1
        elif letter == c"}" or letter == c"]":
            depth -= 1
        elif letter == c"," and depth == 0:
            return at - 1
    return end


cdef bint _is_within(bytes encoded, char opening, char closing) noexcept:
    """Whether the bytes are between these braces."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(encoded)
    cdef const char *raw = PyBytes_AS_STRING(encoded)
    return size >= 2 and raw[0] == opening and raw[size - 1] == closing


def members_of(bytes encoded not None):
    cdef const char *at = PyBytes_AS_STRING(encoded) + 1
    cdef const char *last = at + PyBytes_GET_SIZE(encoded) - 2
    cdef const char *stop
    cdef const char *key_end
    cdef dict members = {}
    if not _is_within(encoded, c"{", c"}"):
        return None
    if at == last:
        return members
    while True:
        stop = _piece_end(at, last)
        if at == stop or at[0] != c'"':
            return None
        key_end = <const char *>memchr(at + 1, c'"', stop - at - 1)
        if key_end == NULL or key_end + 1 >= stop or key_end[1] != c":":
            return None
        if memchr(at, c"\\", key_end - at) != NULL:
            return None
        key = PyBytes_FromStringAndSize(at + 1, key_end - at - 1)
        if key in members:
            return None
        members[key] = PyBytes_FromStringAndSize(key_end + 2, stop - key_end - 2)
        if stop == last:
            return members
        at = stop + 1


def items_of(bytes encoded not None):
    cdef const char *at = PyBytes_AS_STRING(encoded) + 1
    cdef const char *last = at + PyBytes_GET_SIZE(encoded) - 2
    cdef const char *stop
    cdef list items = []
    if not _is_within(encoded, c"[", c"]"):
        return None
    if at == last:
        return items
    while True:
        stop = _piece_end(at, last)
        items.append(PyBytes_FromStringAndSize(at, stop - at))
        if stop == last:
            return items
        at = stop + 1
