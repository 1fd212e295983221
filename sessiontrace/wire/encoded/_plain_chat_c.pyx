# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``plain_messages``; see ``plain_chat``.

Invariant: for valid JSON it gives what the form in ``_plain_chat_py`` gives, and it reads nothing
outside of ``raw``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp

from sessiontrace.wire.encoded._plain_chat_py import ESCAPES

cdef int _escapes = ESCAPES
cdef const char *_ROLE = b'{"role":"'
cdef const char *_CONTENT = b'","content":"'
cdef Py_ssize_t _ROLE_SIZE = 9, _CONTENT_SIZE = 13


cdef inline Py_ssize_t _quote(const char *raw, Py_ssize_t at, Py_ssize_t size) noexcept:
    """The position of the next quote from ``at`` on, or -1."""
    if at >= size:
        return -1
    cdef const char *place = <const char *>memchr(raw + at, c'"', size - at)
    return -1 if place == NULL else place - raw


cdef Py_ssize_t _text_end(const char *raw, Py_ssize_t start, Py_ssize_t size) noexcept:
    """The position after the text that opens at ``start``; 0 after too many escaped quotes."""
    cdef Py_ssize_t at = start, before
    cdef int i
    for i in range(_escapes):
        at = _quote(raw, at + 1, size)
        if at < 0:
            return 0
        before = at
        while before > start and raw[before - 1] == c"\\":
            before -= 1
        if (at - before) % 2 == 0:
            return at + 1
    return 0


def plain_messages(bytes raw not None, Py_ssize_t at):
    cdef const char *first = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw)
    cdef Py_ssize_t role, role_end, start, end
    cdef list messages = []
    while at + _ROLE_SIZE <= size and memcmp(first + at, _ROLE, _ROLE_SIZE) == 0:
        role = at + _ROLE_SIZE
        role_end = _quote(first, role, size)
        if role_end < 0 or role_end + _CONTENT_SIZE > size:
            return [], at
        if memcmp(first + role_end, _CONTENT, _CONTENT_SIZE) != 0:
            return [], at
        start = role_end + _CONTENT_SIZE - 1
        end = _text_end(first, start, size)
        if end == 0 or end >= size or first[end] != c"}":
            return [], at
        messages.append((
            PyBytes_FromStringAndSize(first + role, role_end - role),
            PyBytes_FromStringAndSize(first + start, end - start),
        ))
        at = end + 1
        if at == size or first[at] != c",":
            return messages, at
        at += 1
    return [], at
