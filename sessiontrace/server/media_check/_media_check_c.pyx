# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``may_hold_media``; see ``media_check``.

Invariant: it gives the answer that the form in ``_media_check_py`` gives.
"""

from libc.string cimport memchr, memcmp

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef Py_ssize_t _HEAD = 256, _LETTERS = 16


def may_hold_media(body):
    """Whether a JSON text describes a medium, or has a text that may be one."""
    cdef const unsigned char *at
    cdef const unsigned char *end
    cdef const unsigned char *quote
    cdef Py_ssize_t size
    if isinstance(body, bytes):
        at, size = <const unsigned char *>PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body)
    else:
        at = <const unsigned char *>PyUnicode_AsUTF8AndSize(body, &size)
    end = at + size
    while True:
        quote = <const unsigned char *>memchr(at, 34, end - at)
        size = (end if quote == NULL else quote) - at
        if size >= _HEAD and _begins_as_base64(at, at + size):
            return True
        if quote == NULL:
            return False
        at = quote + 1
        if end - at < 6:
            continue
        if at[0] == 100 and memcmp(at, b"data:", 5) == 0:
            return True
        if at[0] == 115 and memcmp(at, b"sha256", 6) == 0:
            return True


cdef bint _begins_as_base64(const unsigned char *at, const unsigned char *end) noexcept:
    """Whether letters of base64 follow what blanks there are."""
    cdef Py_ssize_t count
    while at < end:
        if at[0] < 33 or at[0] > 126:
            at += 1
        elif at[0] == 92 and at + 1 < end and 97 <= at[1] <= 122:
            at += 2
        else:
            break
    if end - at < _LETTERS:
        return False
    for count in range(_LETTERS):
        if not _is_letter(at[count]):
            return False
    return True


cdef inline bint _is_letter(unsigned char letter) noexcept:
    return (
        97 <= letter <= 122 or 65 <= letter <= 90 or 48 <= letter <= 57
        or letter == 43 or letter == 47 or letter == 95 or letter == 45
    )
