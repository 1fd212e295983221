# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``may_contain_secret``; see ``patterns``.

Runs in users' threads, always with the interpreter's lock. Invariant: it is true of every text
that ``mask_secrets`` would change, and of every text that is the name of a secret.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from sessiontrace.capture.redaction import _patterns_py
from sessiontrace.capture.redaction.tokens import SHORTEST_SECRET, TOKENS

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

# One pass over the characters. Only around a significant one, which a secret begins with or has in
# it, the scan reads a bounded neighbourhood. The prefixes are those of `TOKENS`, the words those of
# `_patterns_py`, copied into C when the module is imported.

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
    NEAR = 10       # spaces, quotes and a bracket before a colon or an equals sign
    REACH = 80      # the longest name
    LOGIN_MAX = 420
    TOKEN_MAX = 402
    CARD_DIGITS = 14
    WORD_MAX = 16   # bytes of a prefix or a word
    PREFIXES_MAX = 160
    WORDS_MAX = 32

cdef uint8_t _kinds[256]


cdef void _sort_characters() noexcept:
    cdef int code
    for code in range(256):
        _kinds[code] = 0
    for code in b"0123456789:=@-_AJbB.>\"'":
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

ctypedef struct Word:
    char text[WORD_MAX]
    int length
    int least   # letters that follow a prefix

cdef Word _prefixes[PREFIXES_MAX]
cdef int _prefix_count = 0
cdef Word _words[WORDS_MAX]
cdef int _first_word[256]   # where the words that begin with a letter begin, 0 without
cdef uint32_t _second_letters[256]  # of those words: a bit for each letter
cdef int _word_count = 1
cdef Py_ssize_t _name_max = _patterns_py.NAME_MAX, _shortest = SHORTEST_SECRET


cdef void _put_word(Word *word, bytes text, int least):
    word.length = len(text)
    word.least = least
    memcpy(word.text, <const char *>text, word.length)


cdef void _copy_tables():
    global _prefix_count, _word_count
    for token in TOKENS:
        _put_word(&_prefixes[_prefix_count], token.prefix.encode(), token.least)
        _prefix_count += 1
    for word in sorted(_patterns_py.WORDS):
        if not _first_word[ord(word[0])]:
            _first_word[ord(word[0])] = _word_count
        _second_letters[ord(word[0])] |= 1 << (ord(word[1]) & 31)
        _put_word(&_words[_word_count], word.encode(), 0)
        _word_count += 1


assert len(TOKENS) < PREFIXES_MAX and len(_patterns_py.WORDS) + 1 < WORDS_MAX
assert all(len(word) <= WORD_MAX for word in _patterns_py.WORDS)
assert all(len(token.prefix) <= WORD_MAX for token in TOKENS)
_copy_tables()


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


cdef bint _has_word(const letter *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Whether one of the words of a secret is between two places, in any case."""
    cdef Py_ssize_t i
    cdef int number
    cdef letter small
    for i in range(at, end - 2):
        small = text[i] | 32
        if small <= 122 and _second_letters[small] >> (text[i + 1] & 31) & 1:
            number = _first_word[small]
            while number < _word_count and <uint8_t>_words[number].text[0] == small:
                if _says(text, end, i, _words[number].text, _words[number].length):
                    return True
                number += 1
    return False


cdef bint _at_sign(const letter *text, Py_ssize_t at) noexcept nogil:
    """Whether one of the words of a secret comes before this sign."""
    cdef Py_ssize_t i = at - 1, end
    while i >= 0 and at - i <= NEAR and (_kind(text, i) & (SPACE | QUOTE) or text[i] == b"]"):
        i -= 1
    end = i + 1
    while i >= 0 and end - i <= REACH and (_kind(text, i) & (ALNUM | JOINT) or text[i] == b"."):
        i -= 1
    return _has_word(text, i + 1, end)


cdef inline bint _begins(const letter *text, Py_ssize_t at) noexcept nogil:
    """Whether a token may begin at ``at``: not in the middle of a word."""
    return at == 0 or (at > 0 and not _kind(text, at - 1) & ALNUM)


cdef bint _ends_prefix(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    """Whether the prefix of a token ends at ``at``, with enough letters behind it."""
    cdef int i, length
    if not _runs(text, end, at + 1, ALNUM | JOINT, 10):
        return False
    for i in range(_prefix_count):
        length = _prefixes[i].length
        if (
            text[at] == <uint8_t>_prefixes[i].text[length - 1]
            and _has(text, end, at - length + 1, _prefixes[i].text, length)
            and _begins(text, at - length + 1)
            and _runs(text, end, at + 1, ALNUM | JOINT, _prefixes[i].least)
        ):
            return True
    return False


cdef bint _at_hyphen(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t i = at + 2
    if at + 2 < end and (text[at + 1] | 32) == b"u" and not _kind(text, at + 2) & ALNUM:
        return True  # curl -u
    if at + 2 < end and text[at + 1] == b"-" and _kind(text, i) & ALNUM:  # an option
        while i < end and i - at < REACH and _kind(text, i) & (ALNUM | JOINT):
            i += 1
        if _at_sign(text, i) or _has(text, end, at, "--user", 6):
            return True
        return _has(text, end, at, "--proxy-user", 12)
    return _has(text, end, at, "-----BEGIN ", 11) or _ends_prefix(text, end, at)


cdef bint _at_point(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    if at + 1 >= end or not _kind(text, at + 1) & (ALNUM | JOINT):
        return False
    if at + 7 < end and text[at + 7] == b"." and _runs(text, end, at + 1, ALNUM | JOINT, 6):
        return True  # Discord
    if _has(text, end, at, ".slack.com/services/", 20):
        return True
    return _has(text, end, at, ".com/api/webhooks/", 18) or _ends_prefix(text, end, at)


cdef bint _at_capital(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    cdef int i
    if text[at] == b"J":
        return (
            _has(text, end, at - 2, "ey", 2) and _begins(text, at - 2)
            and _runs(text, end, at + 1, ALNUM | JOINT, 13)
        )
    if not _begins(text, at):
        return False
    for i in range(_prefix_count):
        if _prefixes[i].text[0] == b"A" and _has(text, end, at, _prefixes[i].text, _prefixes[i].length):
            if _runs(text, end, at + _prefixes[i].length, ALNUM | JOINT, _prefixes[i].least):
                return True
    return False


cdef bint _at_digit(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    """Whether the digit is the first of a token in hexadecimal digits, `dapi` or `SK`."""
    cdef Py_ssize_t i = at - 1
    if i < 0:
        return False
    while i >= 0 and at - i <= 32 and b"a" <= text[i] <= b"f":
        i -= 1
    if i < 1 or not (text[i] == b"i" or text[i] == b"K"):
        return False
    return (
        (_has(text, end, i - 3, "dapi", 4) or _has(text, end, i - 1, "SK", 2))
        and _runs(text, end, i + 1, ALNUM, 32)
    )


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


cdef bint _is_name(const letter *text, Py_ssize_t end) noexcept nogil:
    """Whether a short text may be the name of a secret in a pair."""
    cdef Py_ssize_t i
    for i in range(end):
        if text[i] == b" ":
            return False
    return _has_word(text, 0, end)


cdef inline bint _joins(letter sign) noexcept nogil:
    """Whether a sign joins the groups of a card number, beside spaces and hyphens."""
    return sign == b"." or sign == b"/" or sign == b"_" or sign == 0xA0 or 0x2009 <= sign <= 0x202F


cdef bint _scan(const letter *text, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t i = 0, scheme = -1 - LOGIN_MAX
    cdef int digits, group
    cdef letter here
    if end <= _name_max and _is_name(text, end):
        return True
    if end < _shortest:
        return False
    if text[0] == b"{" or text[0] == b"[":  # JSON, perhaps
        return True
    while True:
        i = _next_significant(text, end, i)
        if i >= end:
            return False
        here = text[i]
        if b"0" <= here <= b"9":
            if _at_digit(text, end, i):
                return True
            digits = group = 0  # of a card number: the first is 2 to 6, single joints between
            while True:
                if digits or b"2" <= text[i] <= b"6":
                    digits += 1
                    if digits == CARD_DIGITS:
                        return True
                i += 1
                group += 1
                if i + 1 < end and _kind(text, i + 1) & DIGIT and (
                    text[i] == b" " or text[i] == b"-" or (group >= 4 and _joins(text[i]))
                ):
                    i += 1
                    group = 0
                if i >= end or not _kind(text, i) & DIGIT:
                    break
            if i + 1 < end and text[i] == b"Q" and text[i + 1] == b"~":  # Azure
                return True
        else:
            if here == b"-":
                if _at_hyphen(text, end, i):
                    return True
            elif here == b":" or here == b"=" or here == b">":
                if _has(text, end, i, "://", 3):
                    scheme = i
                if _at_sign(text, i):
                    return True
                if here == b":" and i and _kind(text, i - 1) & DIGIT and (
                    _runs(text, end, i + 1, ALNUM | JOINT, 35)
                ):
                    return True
            elif here == b"_":
                if _ends_prefix(text, end, i):
                    return True
            elif here == b".":
                if _at_point(text, end, i):
                    return True
            elif here == b"@":
                if i - scheme <= LOGIN_MAX or _has(text, end, i, "@tcp(", 5):
                    return True
                if _has(text, end, i, "@unix(", 6):
                    return True
            elif here == b"b" or here == b"B":
                if _at_scheme(text, end, i):
                    return True
            elif here == b"'" or here == b'"':
                if i + 2 < end and (
                    text[i + 1] == b"," or (text[i + 1] == b" " and (text[i + 2] | 32) == b"v")
                ) and _at_sign(text, i):
                    return True
                if i and here == b"'" and text[i - 1] == b" " and (
                    _at_sign(text, i) or _says(text, end, i - 3, "by ", 3)
                ):
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
