# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``key_values``; see ``key_values``.

Invariant: it writes what the form in ``_key_values_py`` writes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc

from sessiontrace.wire.encoded._key_values_py import any_value
from sessiontrace.wire.encoded._memory cimport Memory, put, put_varint, reserve, width

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef int _put_pair(Memory *to, bytes tag, key, value) except -1:
    cdef Py_ssize_t name_size, size, inner
    cdef const char *name = PyUnicode_AsUTF8AndSize(key, &name_size)
    cdef const char *text = NULL
    cdef bytes other
    if isinstance(value, str):
        text = PyUnicode_AsUTF8AndSize(value, &size)
        inner = 1 + width(size) + size
    elif isinstance(value, bytes):
        text, size = PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
        inner = 1 + width(size) + size
    else:
        other = any_value(value)
        inner = PyBytes_GET_SIZE(other)
    cdef Py_ssize_t whole = 1 + width(name_size) + name_size + 1 + width(inner) + inner
    reserve(to, PyBytes_GET_SIZE(tag) + 10 + whole)
    put(to, PyBytes_AS_STRING(tag), PyBytes_GET_SIZE(tag))
    put_varint(to, whole)
    put(to, b"\x0a", 1)
    put_varint(to, name_size)
    put(to, name, name_size)
    put(to, b"\x12", 1)
    put_varint(to, inner)
    if text == NULL:
        put(to, PyBytes_AS_STRING(other), inner)
    else:
        put(to, b"\x0a", 1)
        put_varint(to, size)
        put(to, text, size)
    return 0


def key_values(bytes tag not None, dict attributes not None):
    cdef Memory to
    to.size, to.room = 0, 2048
    to.start = <char *>malloc(to.room)
    if to.start == NULL:
        raise MemoryError
    try:
        for key, value in attributes.items():
            _put_pair(&to, tag, key, value)
        return PyBytes_FromStringAndSize(to.start, to.size)
    finally:
        free(to.start)
