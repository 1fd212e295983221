"""Memory that grows while protobuf is written into it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy


cdef struct Memory:
    char *start
    Py_ssize_t size
    Py_ssize_t room


cdef inline int grow(Memory *to, Py_ssize_t extra) except -1:
    cdef Py_ssize_t room = to.room
    while to.size + extra > room:
        room *= 2
    cdef char *larger = <char *>realloc(to.start, room)
    if larger == NULL:
        raise MemoryError
    to.start, to.room = larger, room
    return 0


cdef inline int reserve(Memory *to, Py_ssize_t extra) except -1:
    if to.size + extra > to.room:
        grow(to, extra)
    return 0


cdef inline void put(Memory *to, const char *source, Py_ssize_t size) noexcept:
    memcpy(to.start + to.size, source, size)
    to.size += size


cdef inline int add(Memory *to, const char *source, Py_ssize_t size) except -1:
    reserve(to, size)
    put(to, source, size)
    return 0


cdef inline int add_bytes(Memory *to, bytes source) except -1:
    return add(to, PyBytes_AS_STRING(source), PyBytes_GET_SIZE(source))


cdef inline Py_ssize_t width(uint64_t number) noexcept:
    cdef Py_ssize_t width = 1
    while number > 127:
        number >>= 7
        width += 1
    return width


cdef inline void put_varint(Memory *to, uint64_t number) noexcept:
    while number > 127:
        to.start[to.size] = <char>(number & 127 | 128)
        to.size += 1
        number >>= 7
    to.start[to.size] = <char>number
    to.size += 1


cdef inline int add_fixed(Memory *to, uint64_t number) except -1:
    """Write eight bytes, the lowest first."""
    cdef unsigned char text[8]
    cdef int i
    for i in range(8):
        text[i] = number >> (8 * i) & 255
    return add(to, <const char *>text, 8)
