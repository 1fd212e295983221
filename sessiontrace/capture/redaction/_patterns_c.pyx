# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``may_contain_secret``; see ``patterns``.

Runs in users' threads, always with the interpreter's lock. Invariant: it is true of every text
that ``mask_secrets`` would change.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

# One pass over the characters. Only around a significant one, which a secret begins with or has in
# it, the scan reads a bounded neighbourhood. The prefixes are those of `TOKENS` in `_patterns_py`.

ctypedef fused letter:  # a `str` has characters of one of these widths
    uint8_t
    uint16_t
    uint32_t

cdef enum:
    SIGNIFICANT = 1 # the scan reads around it
    ALNUM = 2
    JOINT = 4       # - and _
    SPACE = 8
    QUOTE = 16
    SIGN = 32       # further letters of a bearer token: . ~ + / =
    DIGIT = 64
    NEAR = 8     # spaces and quotes before a colon or an equals sign, at most six matter
    REACH = 40      # a word such as `private_key` and the 20 characters that may follow it
    LOGIN_MAX = 330
    TOKEN_MAX = 402
    CARD_DIGITS = 14

cdef uint8_t _kinds[256]


cdef void _sort_characters() noexcept:
    cdef int code
    for code in range(256):
        _kinds[code] = 0
    for code in b"0123456789:=@-_AJbB":
        _kinds[code] |= SIGNIFICANT
    for code in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        _kinds[code] |= ALNUM
    for code in b"0123456789":
        _kinds[code] |= DIGIT
    for code in b"-_":
        _kinds[code] |= JOINT
    for code in b" \t\n\r\f\v":
        _kinds[code] |= SPACE
    for code in b"\"'\\":
        _kinds[code] |= QUOTE
    for code in b".~+/=":
        _kinds[code] |= SIGN


_sort_characters()


cdef inline int _kind(const letter *text, Py_ssize_t at) noexcept nogil:
    return _kinds[text[at]] if text[at] < 256 else 0


cdef inline bint _has(
    const letter *text, Py_ssize_t end, Py_ssize_t at, const char *word, int length
) noexcept nogil:
    """Whether the text has this word at ``at``."""
    cdef int i
    if at < 0 or at + length > end:
        return False
    for i in range(length):
        if text[at + i] != <uint8_t>word[i]:
            return False
    return True


cdef inline bint _says(
    const letter *text, Py_ssize_t end, Py_ssize_t at, const char *word, int length
) noexcept nogil:
    """Whether the text has this word, given in small letters, at ``at``, in any case."""
    cdef int i
    if at < 0 or at + length > end:
        return False
    for i in range(length):
        if (text[at + i] | 32) != <uint8_t>word[i]:
            return False
    return True


cdef inline bint _runs(
    const letter *text, Py_ssize_t end, Py_ssize_t at, int kinds, int least
) noexcept nogil:
    """Whether at least ``least`` characters of these kinds follow."""
    cdef int i
    if at + least > end:
        return False
    for i in range(least):
        if not _kind(text, at + i) & kinds:
            return False
    return True


cdef inline bint _begins(const letter *text, Py_ssize_t at) noexcept nogil:
    """Whether a token may begin at ``at``: not in the middle of a word."""
    return at == 0 or (at > 0 and not _kind(text, at - 1) & ALNUM)


cdef bint _at_hyphen(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    if _has(text, end, at, "-----BEGIN ", 11):
        return True
    if not _runs(text, end, at + 1, ALNUM | JOINT, 11):
        return False
    return (
        (_has(text, end, at - 2, "sk", 2) and _begins(text, at - 2))
        or (_has(text, end, at - 5, "glpat", 5) and _begins(text, at - 5))
        or (_has(text, end, at - 4, "xox", 3) and _begins(text, at - 4))
    )


cdef bint _at_line(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    if not _runs(text, end, at + 1, ALNUM | JOINT, 15):
        return False
    return (
        (_has(text, end, at - 2, "sk", 2) and _begins(text, at - 2))
        or (_has(text, end, at - 2, "rk", 2) and _begins(text, at - 2))
        or (_has(text, end, at - 3, "gh", 2) and _begins(text, at - 3))
        or (_has(text, end, at - 6, "github", 6) and _begins(text, at - 6))
        or (_has(text, end, at - 2, "hf", 2) and _begins(text, at - 2))
        or (_has(text, end, at - 2, "hh", 2) and _begins(text, at - 2))
        or (_has(text, end, at - 3, "ph", 2) and _begins(text, at - 3))
        or (_has(text, end, at - 3, "npm", 3) and _begins(text, at - 3))
    )


cdef bint _at_capital(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    if text[at] == b"J":
        return (
            _has(text, end, at - 2, "ey", 2) and _begins(text, at - 2)
            and _runs(text, end, at + 1, ALNUM | JOINT, 13)
        )
    if not _begins(text, at):
        return False
    if _has(text, end, at, "AKIA", 4) or _has(text, end, at, "ASIA", 4):
        return _runs(text, end, at + 4, ALNUM, 16)
    return _has(text, end, at, "AIza", 4) and _runs(text, end, at + 4, ALNUM | JOINT, 30)


cdef bint _at_scheme(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    """Whether `bearer` or `basic` is at ``at``, followed by what may be a token."""
    cdef Py_ssize_t begin = at
    if _says(text, end, at, "bearer", 6):
        begin += 6
    elif _says(text, end, at, "basic", 5):
        begin += 5
    if begin == at or begin >= end or not _kind(text, begin) & SPACE:
        return False
    while begin < end and _kind(text, begin) & SPACE:
        begin += 1
    if not _runs(text, end, begin, ALNUM | JOINT | SIGN, 8):
        return False
    cdef Py_ssize_t i = begin
    while i < end and i - begin < TOKEN_MAX and _kind(text, i) & (ALNUM | JOINT | SIGN):
        if _kind(text, i) & DIGIT or text[i] == b"=":
            return True
        i += 1
    return False


cdef bint _at_sign(const letter *text, Py_ssize_t at) noexcept nogil:
    """Whether one of the words of a secret comes before this colon or equals sign."""
    cdef Py_ssize_t i = at - 1, end
    cdef letter small
    while i >= 0 and at - i <= NEAR and _kind(text, i) & (SPACE | QUOTE):
        i -= 1
    end = i + 1
    while i >= 0 and end - i <= REACH and _kind(text, i) & (ALNUM | JOINT):
        i -= 1
    for i in range(i + 1, end - 2):
        small = text[i] | 32
        if small == b"p":
            if _says(text, end, i, "pass", 4) or _says(text, end, i, "pwd", 3):
                return True
        elif small == b"s":
            if _says(text, end, i, "secret", 6):
                return True
        elif small == b"k":
            if _says(text, end, i, "key", 3):
                return True
        elif small == b"t":
            if _says(text, end, i, "token", 5):
                return True
        elif small == b"c":
            if _says(text, end, i, "cookie", 6):
                return True
        elif small == b"a":
            if _says(text, end, i, "authorization", 13):
                return True
    return False


cdef inline Py_ssize_t _next_significant(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    """Where the next significant character is, from ``at`` on; ``end`` when there is none."""
    if letter is uint8_t:  # most texts: eight characters at once
        while at + 8 <= end and not (
            _kinds[text[at]] | _kinds[text[at + 1]] | _kinds[text[at + 2]] | _kinds[text[at + 3]]
            | _kinds[text[at + 4]] | _kinds[text[at + 5]] | _kinds[text[at + 6]]
            | _kinds[text[at + 7]]
        ) & SIGNIFICANT:
            at += 8
    while at < end and not _kind(text, at) & SIGNIFICANT:
        at += 1
    return at


cdef bint _scan(const letter *text, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t i = 0, scheme = -1 - LOGIN_MAX
    cdef int digits
    cdef letter here
    if end and (text[0] == b"{" or text[0] == b"["):  # JSON, perhaps
        return True
    while True:
        i = _next_significant(text, end, i)
        if i >= end:
            return False
        here = text[i]
        if b"0" <= here <= b"9":
            if here == b"2" and _has(text, end, i - 2, "ya29.", 5):
                return True
            digits = 0  # of a card number: the first is 2 to 6, single spaces or hyphens between
            while True:
                if digits or b"2" <= text[i] <= b"6":
                    digits += 1
                    if digits == CARD_DIGITS:
                        return True
                i += 1
                if i + 1 < end and (text[i] == b" " or text[i] == b"-") and (
                    _kind(text, i + 1) & DIGIT
                ):
                    i += 1
                if i >= end or not _kind(text, i) & DIGIT:
                    break
        else:
            if here == b"-":
                if _at_hyphen(text, end, i):
                    return True
            elif here == b":" or here == b"=":
                if _has(text, end, i, "://", 3):
                    scheme = i
                if _at_sign(text, i):
                    return True
            elif here == b"_":
                if _at_line(text, end, i):
                    return True
            elif here == b"@":
                if i - scheme <= LOGIN_MAX:
                    return True
            elif here == b"b" or here == b"B":
                if _at_scheme(text, end, i):
                    return True
            elif _at_capital(text, end, i):
                return True
            i += 1


cpdef bint may_contain_secret(text) noexcept:
    if type(text) is not str:
        return True
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
    cdef int kind = PyUnicode_KIND(text)
    cdef const void *data = PyUnicode_DATA(text)
    if kind == 1:
        return _scan(<const uint8_t *>data, length)
    if kind == 2:
        return _scan(<const uint16_t *>data, length)
    return _scan(<const uint32_t *>data, length)
