# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``checksum``, ``write_frame`` and ``split_frames``; see ``frame``.

``checksum`` and ``write_frame`` are called in users' threads, under the spool's lock,
``split_frames`` in the sender's. Invariant: they do what the forms in ``_frame_py`` do, write
nothing outside of ``view`` and read nothing outside of ``raw``.

Where the processor multiplies without carries, a checksum is folded 64 bytes at a time as in
Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel,
2009: 900 bytes take a sixth of zlib's time. Elsewhere zlib computes it.
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

cdef extern from *:
    """
    #if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
    #include <cpuid.h>
    #include <immintrin.h>

    static int can_fold(void) {
        unsigned int a, b, c = 0, d;
        return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_PCLMUL) && (c & bit_SSE4_1);
    }

    #define FOLD(x, k, y) _mm_xor_si128(_mm_xor_si128( \
        _mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11)), y)
    #define LOAD(at) _mm_loadu_si128((const __m128i *)(at))

    /* The register of a CRC-32 after "size" more bytes: 64 or more, and a multiple of 16. */
    __attribute__((target("pclmul,sse4.1")))
    static uint32_t folded(const char *at, Py_ssize_t size, uint32_t crc) {
        const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
        const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
        const __m128i by_64 = _mm_set_epi64x(0, 0x0163cd6124);
        const __m128i polynomial = _mm_set_epi64x(0x01f7011641, 0x01db710641);
        const __m128i low = _mm_setr_epi32(~0, 0, ~0, 0);
        __m128i a = _mm_xor_si128(LOAD(at), _mm_cvtsi32_si128((int)crc));
        __m128i b = LOAD(at + 16), c = LOAD(at + 32), d = LOAD(at + 48), t;
        for (at += 64, size -= 64; size >= 64; at += 64, size -= 64) {
            a = FOLD(a, by_512, LOAD(at));
            b = FOLD(b, by_512, LOAD(at + 16));
            c = FOLD(c, by_512, LOAD(at + 32));
            d = FOLD(d, by_512, LOAD(at + 48));
        }
        a = FOLD(a, by_128, b);
        a = FOLD(a, by_128, c);
        a = FOLD(a, by_128, d);
        for (; size >= 16; at += 16, size -= 16)
            a = FOLD(a, by_128, LOAD(at));
        a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_128, 0x10));
        t = _mm_clmulepi64_si128(_mm_and_si128(a, low), by_64, 0x00);
        a = _mm_xor_si128(_mm_srli_si128(a, 4), t);
        t = _mm_clmulepi64_si128(_mm_and_si128(a, low), polynomial, 0x10);
        t = _mm_clmulepi64_si128(_mm_and_si128(t, low), polynomial, 0x00);
        return (uint32_t)_mm_extract_epi32(_mm_xor_si128(a, t), 1);
    }
    #else
    static int can_fold(void) { return 0; }
    static uint32_t folded(const char *at, Py_ssize_t size, uint32_t crc) { return crc; }
    #endif
    """
    int can_fold() noexcept
    uint32_t folded(const char *at, Py_ssize_t size, uint32_t crc) noexcept

cdef Py_ssize_t _longest = MAX_BODY
cdef bint _folds = can_fold()
cdef uint32_t _TABLE[256]  # what a byte does to the register


cdef void _fill_table():
    cdef uint32_t crc
    cdef int byte, bit
    for byte in range(256):
        crc = byte
        for bit in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
        _TABLE[byte] = crc


_fill_table()


cdef uint32_t _checksum(const char *at, Py_ssize_t size, uint32_t start) except? 0:
    if not _folds:
        return crc32(PyMemoryView_FromMemory(<char *>at, size, PyBUF_READ), start)
    cdef uint32_t crc = ~start
    cdef Py_ssize_t whole = size & ~15 if size >= 64 else 0, i
    if whole:
        crc = folded(at, whole, crc)
    for i in range(whole, size):
        crc = (crc >> 8) ^ _TABLE[(crc ^ <unsigned char>at[i]) & 255]
    return ~crc


def checksum(data, uint32_t start):
    if not isinstance(data, bytes):  # of a subclass too
        raise TypeError("a checksum is of bytes")
    return _checksum(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), start)


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
            crc = _checksum(checked, end - checked, seed)
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
