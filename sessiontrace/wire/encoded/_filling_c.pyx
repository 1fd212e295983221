# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""The compiled form of ``fill``; see ``filling``.

Invariant: it reads nothing outside of ``parts`` and ``values``.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy


cdef inline bytes _bytes(part, tuple values):
    return <bytes?>part if isinstance(part, bytes) else <bytes?>values[<Py_ssize_t?>part]


def fill(tuple parts not None, tuple values not None):
    cdef Py_ssize_t whole = 0, size
    cdef bytes piece
    for part in parts:
        piece = _bytes(part, values)
        whole += PyBytes_GET_SIZE(piece)
    filled = PyBytes_FromStringAndSize(NULL, whole)
    cdef char *to = PyBytes_AS_STRING(filled)
    for part in parts:
        piece = _bytes(part, values)
        size = PyBytes_GET_SIZE(piece)
        memcpy(to, PyBytes_AS_STRING(piece), size)
        to += size
    return filled
