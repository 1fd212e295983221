# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``plain_messages`` and ``plain_parts``; see ``plain_chat``.

Invariant: for valid JSON it gives what the form in ``_plain_chat_py`` gives, and it reads nothing
outside of ``raw``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy

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


cdef struct Message:
    Py_ssize_t role
    Py_ssize_t role_end
    Py_ssize_t start
    Py_ssize_t end


cdef bint _read(const char *first, Py_ssize_t at, Py_ssize_t size, Message *message) noexcept:
    """Whether a message is at a position, and where its role and its text are."""
    if at + _ROLE_SIZE > size or memcmp(first + at, _ROLE, _ROLE_SIZE) != 0:
        return False
    message.role = at + _ROLE_SIZE
    message.role_end = _quote(first, message.role, size)
    if message.role_end < 0 or message.role_end + _CONTENT_SIZE > size:
        return False
    if memcmp(first + message.role_end, _CONTENT, _CONTENT_SIZE) != 0:
        return False
    message.start = message.role_end + _CONTENT_SIZE - 1
    message.end = _text_end(first, message.start, size)
    return 0 < message.end < size and first[message.end] == c"}"


def plain_messages(bytes raw not None, Py_ssize_t at):
    cdef const char *first = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw)
    cdef Message message
    cdef list messages = []
    while _read(first, at, size, &message):
        messages.append((
            PyBytes_FromStringAndSize(first + message.role, message.role_end - message.role),
            PyBytes_FromStringAndSize(first + message.start, message.end - message.start),
        ))
        at = message.end + 1
        if at == size or first[at] != c",":
            return messages, at
        at += 1
    return [], at


cdef Py_ssize_t _plain_end(const char *first, Py_ssize_t at, Py_ssize_t size, Py_ssize_t *room):
    """The position after plain messages, or -1, and room enough for their parts."""
    cdef Message message
    while _read(first, at, size, &message):
        room[0] += message.end - at + 80  # the longest words around a role and a text
        at = message.end + 1
        if at == size or first[at] != c",":
            return at
        at += 1
    return -1


cdef inline char *_put(char *to, const char *text, Py_ssize_t size) noexcept:
    memcpy(to, text, size)
    return to + size


def plain_parts(bytes raw not None, Py_ssize_t at):
    cdef const char *first = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw), room = 2, role_size
    cdef Py_ssize_t end = _plain_end(first, at, size, &room)
    if end < 0 or end + 2 != size or memcmp(first + end, b"]}", 2) != 0:
        return None
    cdef Message message
    cdef char *memory = <char *>malloc(room)
    if memory == NULL:
        raise MemoryError
    cdef char *to = _put(memory, b"[", 1)
    while at < end and _read(first, at, size, &message):
        role_size = message.role_end - message.role
        to = _put(to, b'{"role":"', 9)
        to = _put(to, first + message.role, role_size)
        if role_size == 4 and memcmp(first + message.role, b"tool", 4) == 0:
            to = _put(to, b'","parts":[{"type":"tool_call_response","response":', 51)
        else:
            to = _put(to, b'","parts":[{"type":"text","content":', 36)
        to = _put(to, first + message.start, message.end - message.start)
        to = _put(to, b"}]}", 3)
        at = message.end + 2
        if at < end:
            to = _put(to, b",", 1)
    to = _put(to, b"]", 1)
    parts = PyBytes_FromStringAndSize(memory, to - memory)
    free(memory)
    return parts
