# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``key_values``; see ``key_values``.

Invariant: it writes what the form in ``_key_values_py`` writes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from sessiontrace.wire.encoded._key_values_py import any_value

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef struct Memory:
    char *at
    Py_ssize_t size
    Py_ssize_t room


cdef inline int _reserve(Memory *to, Py_ssize_t extra) except -1:
    cdef Py_ssize_t room = to.room
    cdef char *larger
    if to.size + extra > room:
        while to.size + extra > room:
            room *= 2
        larger = <char *>realloc(to.at, room)
        if larger == NULL:
            raise MemoryError
        to.at, to.room = larger, room
    return 0


cdef inline Py_ssize_t _width(uint64_t number) noexcept:
    cdef Py_ssize_t width = 1
    while number > 127:
        number >>= 7
        width += 1
    return width


cdef inline void _put_varint(Memory *to, uint64_t number) noexcept:
    while number > 127:
        to.at[to.size] = <char>(number & 127 | 128)
        to.size += 1
        number >>= 7
    to.at[to.size] = <char>number
    to.size += 1


cdef inline void _put(Memory *to, const char *source, Py_ssize_t size) noexcept:
    memcpy(to.at + to.size, source, size)
    to.size += size


cdef int _put_pair(Memory *to, bytes tag, key, value) except -1:
    cdef Py_ssize_t name_size, size, inner
    cdef const char *name = PyUnicode_AsUTF8AndSize(key, &name_size)
    cdef const char *text = NULL
    cdef bytes other
    if isinstance(value, str):
        text = PyUnicode_AsUTF8AndSize(value, &size)
        inner = 1 + _width(size) + size
    elif isinstance(value, bytes):
        text, size = PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
        inner = 1 + _width(size) + size
    else:
        other = any_value(value)
        inner = PyBytes_GET_SIZE(other)
    cdef Py_ssize_t whole = 1 + _width(name_size) + name_size + 1 + _width(inner) + inner
    _reserve(to, PyBytes_GET_SIZE(tag) + 10 + whole)
    _put(to, PyBytes_AS_STRING(tag), PyBytes_GET_SIZE(tag))
    _put_varint(to, whole)
    _put(to, b"\x0a", 1)
    _put_varint(to, name_size)
    _put(to, name, name_size)
    _put(to, b"\x12", 1)
    _put_varint(to, inner)
    if text == NULL:
        _put(to, PyBytes_AS_STRING(other), inner)
    else:
        _put(to, b"\x0a", 1)
        _put_varint(to, size)
        _put(to, text, size)
    return 0


def key_values(bytes tag not None, dict attributes not None):
    cdef Memory to
    to.size, to.room = 0, 2048
    to.at = <char *>malloc(to.room)
    if to.at == NULL:
        raise MemoryError
    try:
        for key, value in attributes.items():
            _put_pair(&to, tag, key, value)
        return PyBytes_FromStringAndSize(to.at, to.size)
    finally:
        free(to.at)
