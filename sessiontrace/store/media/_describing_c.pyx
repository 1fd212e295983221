# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``describing``; see ``describing``.

Invariant: it gives the indexes that the form in ``_describing_py`` gives.
"""

from libc.string cimport memchr, memcmp

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


def describing(records):
    """The indexes of the records that name a hash, as each description of a medium does."""
    cdef list indexes = []
    cdef Py_ssize_t index = 0
    for record in records:
        # A named tuple, whose type is not tuple itself.
        if _names_hash(record[2]):
            indexes.append(index)
        index += 1
    return indexes


cdef bint _names_hash(body) except -1:
    cdef const char *at
    cdef const char *end
    cdef Py_ssize_t size
    if isinstance(body, bytes):
        at, size = PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body)
    else:
        at = PyUnicode_AsUTF8AndSize(body, &size)
    end = at + size
    while True:
        at = <const char *>memchr(at, 34, end - at)
        if at == NULL or end - at < 7:
            return False
        at += 1
        if at[0] == 115 and memcmp(at, b"sha256", 6) == 0:
            return True
