# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``write_frame``; see ``frame``.

Called in users' threads, under the spool's lock. Invariant: it writes what the form in
``_frame_py`` writes, and nothing outside of ``view``.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from sessiontrace.spool._frame_py import MAX_BODY

cdef Py_ssize_t _longest = MAX_BODY


def write_frame(view, Py_ssize_t at, Py_ssize_t size, uint32_t crc, head, body):
    if not (isinstance(head, bytes) and isinstance(body, bytes)):
        raise TypeError("head and body of a frame are bytes")
    cdef Py_ssize_t first = PyBytes_GET_SIZE(head), second = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t length = 8 + first + second + 1
    if length > _longest or at < 0 or at + length > size:
        return -1
    cdef Py_buffer there
    PyObject_GetBuffer(view, &there, PyBUF_WRITABLE)
    if at + length > there.len:
        PyBuffer_Release(&there)
        raise IndexError("size is larger than the memory of view")
    cdef char *to = <char *>there.buf + at
    cdef int i
    for i in range(8):
        to[i] = b"0123456789abcdef"[(crc >> (28 - 4 * i)) & 15]
    memcpy(to + 8, PyBytes_AS_STRING(head), first)
    memcpy(to + 8 + first, PyBytes_AS_STRING(body), second)
    to[length - 1] = b"\n"
    PyBuffer_Release(&there)
    return at + length
