# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``write_frame`` and ``split_frames``; see ``frame``.

``write_frame`` is called in users' threads, under the spool's lock, ``split_frames`` in the
sender's. Invariant: they do what the forms in ``_frame_py`` do, write nothing outside of ``view``
and read nothing outside of ``raw``.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp, memcpy

from zlib import crc32

from sessiontrace.spool._frame_py import MAX_BODY

cdef extern from "Python.h":
    int PyBUF_READ

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


def split_frames(bytes raw not None, uint32_t seed, Py_ssize_t max_frames):
    cdef char *first = PyBytes_AS_STRING(raw)
    cdef char *stop = first + PyBytes_GET_SIZE(raw)
    cdef char *start
    cdef char *end
    cdef char *space
    cdef char *after = first
    cdef char *checked
    cdef Py_ssize_t count = 0, head_size, last_size = -1
    cdef char *last_head = NULL
    cdef uint32_t crc = 0
    cdef list heads = [], bodies = [], ends = [], unsound = []
    cdef bytes head = b""
    while count < max_frames:
        end = <char *>memchr(after, 10, stop - after)
        if end == NULL:
            break
        start, after = after, end + 1
        space = NULL
        checked = start + 9
        if end > checked:
            space = <char *>memchr(checked, 32, end - checked)
        if space != NULL:
            space = <char *>memchr(space + 1, 32, end - space - 1)
        if space != NULL:
            crc = crc32(PyMemoryView_FromMemory(checked, end - checked, PyBUF_READ), seed)
        if space == NULL or not _is_checksum(start, crc):
            unsound.append((start - first, end - first))
            continue
        head_size = space - checked
        if head_size != last_size or memcmp(checked, last_head, head_size) != 0:
            head = PyBytes_FromStringAndSize(checked, head_size)
            last_head, last_size = checked, head_size
        heads.append(head)
        bodies.append(PyBytes_FromStringAndSize(space + 1, end - space - 1))
        ends.append(after - first)
        count += 1
    return heads, bodies, ends, unsound, after - first


cdef bint _is_checksum(const char *at, uint32_t crc) noexcept:
    cdef int i
    for i in range(8):
        if at[i] != b"0123456789abcdef"[(crc >> (28 - 4 * i)) & 15]:
            return False
    return at[8] == b" "
