# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``plain_messages`` and ``plain_parts``; see ``plain_chat``.

Invariant: for valid JSON it gives what the form in ``_plain_chat_py`` gives, and it reads nothing
outside of ``raw``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp, memcpy

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
    """The position after the text that opens at ``start``; 0 where it does not end."""
    cdef Py_ssize_t at = start, before
    while True:
        at = _quote(raw, at + 1, size)
        if at < 0:
            return 0
        before = at
        while before > start + 1 and raw[before - 1] == c"\\":
            before -= 1
        if (at - before) % 2 == 0:
            return at + 1


cdef bint read_message(
    const char *first, Py_ssize_t at, Py_ssize_t size, Message *message
) noexcept:
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
    while read_message(first, at, size, &message):
        messages.append((
            PyBytes_FromStringAndSize(first + message.role, message.role_end - message.role),
            PyBytes_FromStringAndSize(first + message.start, message.end - message.start),
        ))
        at = message.end + 1
        if at == size or first[at] != c",":
            return messages, at
        at += 1
    return [], at


cdef inline bint _is_response(const char *first, const Message *message) noexcept:
    """Whether a message is a tool's."""
    return message.role_end - message.role == 4 and memcmp(first + message.role, b"tool", 4) == 0


cdef Py_ssize_t parts_size(const char *first, Py_ssize_t at, Py_ssize_t size) noexcept:
    cdef Message message
    cdef Py_ssize_t whole = 1
    while read_message(first, at, size, &message):
        whole += message.role_end - message.role + message.end - message.start + 13
        whole += 51 if _is_response(first, &message) else 36
        at = message.end + 1
        if at + 2 == size and memcmp(first + at, b"]}", 2) == 0:
            return whole
        if at == size or first[at] != c",":
            return -1
        at += 1
    return -1


cdef inline char *_put(char *to, const char *text, Py_ssize_t size) noexcept:
    memcpy(to, text, size)
    return to + size


cdef char *put_parts(char *to, const char *first, Py_ssize_t at, Py_ssize_t size) noexcept:
    cdef Message message
    to = _put(to, b"[", 1)
    while read_message(first, at, size, &message):
        to = _put(to, b'{"role":"', 9)
        to = _put(to, first + message.role, message.role_end - message.role)
        if _is_response(first, &message):
            to = _put(to, b'","parts":[{"type":"tool_call_response","response":', 51)
        else:
            to = _put(to, b'","parts":[{"type":"text","content":', 36)
        to = _put(to, first + message.start, message.end - message.start)
        to = _put(to, b"}]},", 4)
        at = message.end + 2
    (to - 1)[0] = c"]"
    return to


def plain_parts(bytes raw not None, Py_ssize_t at):
    cdef const char *first = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw)
    cdef Py_ssize_t whole = parts_size(first, at, size)
    if whole < 0:
        return None
    parts = PyBytes_FromStringAndSize(NULL, whole)
    put_parts(PyBytes_AS_STRING(parts), first, at, size)
    return parts
