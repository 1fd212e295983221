# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``plain.look``, ``shapes.suspicious`` and ``record_body.step``; see ``hot``.

Runs in users' threads, always with the interpreter's lock. Where something is out of the ordinary
the uncompiled code is asked. Invariant: ``look`` and ``step`` give what the uncompiled ones give,
and to ``suspicious`` every text is suspicious that ``shapes.masked`` would change.
"""

import datetime
import uuid

import orjson

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject_Hash
from cpython.set cimport PySet_Contains
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, strlen

from sessiontrace.capture.encoding import record_body
from sessiontrace.capture.redaction.key_names import KNOWN, all_keys_clean
from sessiontrace.capture.encoding.media import MEDIA_MIN, is_media
from sessiontrace.capture.encoding.fast_path import CAP, DEPTH, ROOM
from sessiontrace.capture.redaction.patterns import LEAST

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef set _known_keys = KNOWN
cdef Py_ssize_t _media_min = MEDIA_MIN, _least = LEAST, _cap = CAP, _room = ROOM
cdef int _depth = DEPTH
cdef object _date = datetime.date, _datetime = datetime.datetime, _timezone = datetime.timezone
cdef object _uuid = uuid.UUID, _dumps = orjson.dumps

cdef enum:
    CHEAP = 512     # a shorter text is looked at each time: to know it again would cost more

# -- look ---------------------------------------------------------------------------------------


@cython.final
@cython.freelist(8)
cdef class _Look:
    """What is found on the way down: room left, and whether a text is doubtful."""

    cdef Py_ssize_t room
    cdef bint doubtful, masks, by_shape
    cdef set known
    cdef object harmless

    cdef bint passes(self, object value, int depth) except -1:
        """Whether a value is small, flat and plain enough."""
        cdef object kind = type(value)
        if kind is str:
            return self.passes_text(value)
        if kind is dict:
            if not _keys_pass(<dict>value) or not self.enters(len(<dict>value), depth):
                return False
            for item in (<dict>value).values():  # raises when another thread changes its size
                if not self.passes(item, depth - 1):
                    return False
            return True
        if kind is list or kind is tuple:
            if not self.enters(len(value), depth):
                return False
            for item in value:
                if not self.passes(item, depth - 1):
                    return False
            return True
        if kind is _datetime:  # a time zone of the user's is code that orjson would run
            return value.tzinfo is None or type(value.tzinfo) is _timezone
        return (
            value is None or kind is int or kind is float or kind is bool
            or kind is _date or kind is _uuid
        )

    cdef bint enters(self, Py_ssize_t nodes, int depth) noexcept:
        self.room -= 8 * nodes
        return self.room >= 0 and depth > 0

    cdef bint passes_text(self, str text) except -1:
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
        self.room -= length
        if self.room < 0:  # before the hash, which reads a new text whole
            return False
        if length < CHEAP:
            if not self.masks:
                return True
            if self.by_shape and (length < _least or not _is_suspicious(text)):
                return True
        cdef object key = PyObject_Hash(text)
        if PySet_Contains(self.known, key):
            return True
        if length >= _media_min and is_media(text):
            return False
        if self.by_shape and length >= CHEAP and not _is_suspicious(text):
            self.harmless.remember_clean(key)
        elif self.harmless.needs_masking((text,)):
            self.doubtful = True
        return True


cdef bint _keys_pass(dict value) except -1:
    for key in value:
        if type(key) is not str:
            return False
        if not PySet_Contains(_known_keys, key):
            return all_keys_clean(value)
    return True


cpdef int look(value, Py_ssize_t room, int depth, harmless) except -2:
    cdef _Look found = _Look.__new__(_Look)
    found.room = room
    found.known = harmless.known
    found.masks = harmless.masks
    found.by_shape = harmless.by_shape
    found.harmless = harmless
    if not found.passes(value, depth):
        return -1
    return 1 if found.doubtful else 0


def quick(value, harmless):
    if type(value) is not dict:
        return None
    try:
        if look(value, _room, _depth, harmless) != 0:
            return None
        encoded = _dumps(value)
    except Exception:
        return None
    return encoded if PyBytes_GET_SIZE(encoded) <= _cap else None


# -- suspicious ---------------------------------------------------------------------------------
# One pass over the characters; only at those that something secret begins with, or has in it, the
# neighbourhood is looked at, and of that a bounded part.

ctypedef fused letter:  # of a `str`, by the widest of its characters
    uint8_t
    uint16_t
    uint32_t

cdef enum:
    TELLING = 1     # worth a look around
    ALNUM = 2
    JOINT = 4       # - and _
    SPACE = 8
    QUOTE = 16
    SIGN = 32       # what else a bearer token is made of: . ~ + / =
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
        _kinds[code] |= TELLING
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
    """Whether this word stands there."""
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
    """Whether this word of small letters stands there, in whatever case."""
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
    """Whether so many characters of these kinds follow."""
    cdef int i
    if at + least > end:
        return False
    for i in range(least):
        if not _kind(text, at + i) & kinds:
            return False
    return True


cdef inline bint _begins(const letter *text, Py_ssize_t at) noexcept nogil:
    """Whether a token may begin there: not in the middle of a word."""
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
    """Whether `bearer` or `basic` stands there, and behind it what may be a token."""
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
    """Whether one of the telling words ends before this colon or equals sign."""
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


cdef inline Py_ssize_t _telling(const letter *text, Py_ssize_t end, Py_ssize_t at) noexcept nogil:
    """Where the next telling character is, from here on; ``end`` when there is none."""
    if letter is uint8_t:  # most texts: eight characters a turn
        while at + 8 <= end and not (
            _kinds[text[at]] | _kinds[text[at + 1]] | _kinds[text[at + 2]] | _kinds[text[at + 3]]
            | _kinds[text[at + 4]] | _kinds[text[at + 5]] | _kinds[text[at + 6]]
            | _kinds[text[at + 7]]
        ) & TELLING:
            at += 8
    while at < end and not _kind(text, at) & TELLING:
        at += 1
    return at


cdef bint _scan(const letter *text, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t i = 0, scheme = -1 - LOGIN_MAX
    cdef int digits
    cdef letter here
    if end and (text[0] == b"{" or text[0] == b"["):  # JSON, perhaps
        return True
    while True:
        i = _telling(text, end, i)
        if i >= end:
            return False
        here = text[i]
        if b"0" <= here <= b"9":
            if here == b"2" and _has(text, end, i - 2, "ya29.", 5):
                return True
            digits = 0  # of a card number: from a first one of 2 to 6, single joints between them
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


cdef bint _is_suspicious(str text) noexcept:
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
    cdef int kind = PyUnicode_KIND(text)
    cdef const void *data = PyUnicode_DATA(text)
    if kind == 1:
        return _scan(<const uint8_t *>data, length)
    if kind == 2:
        return _scan(<const uint16_t *>data, length)
    return _scan(<const uint32_t *>data, length)


def suspicious(text):
    return type(text) is not str or _is_suspicious(<str>text)


# -- step ---------------------------------------------------------------------------------------

cdef enum:
    TEXT_MAX = 512          # characters of each text among the record's own fields
    FIRST_MAX = 4096        # of all of those fields: six texts, three numbers, and their names
    CHILD_MAX = 36

# Shorter a duration is written with an exponent, longer its last digits are those of a float.
cdef int64_t _shortest_ns = 10, _longest_ns = 1_000_000_000_000_000


cdef bint _is_simple(object text, Py_ssize_t longest) noexcept:
    """Whether a text is the same in JSON, and no longer than that."""
    if type(text) is not str or not PyUnicode_IS_ASCII(text):
        return False
    cdef Py_ssize_t i, length = PyUnicode_GET_LENGTH(text)
    if length > longest:
        return False
    cdef const uint8_t *data = <const uint8_t *>PyUnicode_DATA(text)
    for i in range(length):
        if data[i] < 32 or data[i] == b'"' or data[i] == b"\\":
            return False
    return True


cdef inline char *_put(char *to, const char *what, Py_ssize_t length) noexcept:
    memcpy(to, what, length)
    return to + length


cdef inline char *_put_word(char *to, const char *word) noexcept:
    return _put(to, word, strlen(word))


cdef inline char *_put_text(char *to, object text) noexcept:
    return _put(to, <const char *>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))


cdef inline char *_put_bytes(char *to, bytes what) noexcept:
    return _put(to, PyBytes_AS_STRING(what), PyBytes_GET_SIZE(what))


cdef char *_put_number(char *to, int64_t number) noexcept:
    cdef char digits[20]
    cdef int count = 0
    while True:
        count += 1
        digits[20 - count] = <char>(48 + number % 10)
        number = number // 10
        if number == 0:
            break
    return _put(to, digits + 20 - count, count)


cdef char *_put_milliseconds(char *to, int64_t ns) noexcept:
    """As the float ``ns / 1_000_000`` is written: with a digit behind the point, and no more zeros
    than that."""
    cdef int64_t rest = ns % 1_000_000
    cdef int places = 6, i
    to = _put_number(to, ns // 1_000_000)
    to[0] = b"."
    while places > 1 and rest % 10 == 0:
        rest = rest // 10
        places -= 1
    for i in range(places, 0, -1):
        to[i] = <char>(48 + rest % 10)
        rest = rest // 10
    return to + 1 + places


def step(
    event_id, session_id, parent_id, event_type, source, start, end, name, parts, children,
    inputs, outputs,
):
    made = _step(
        event_id, session_id, parent_id, event_type, source, start, end, name, parts, children,
        inputs, outputs,
    )
    if made is not None:
        return made
    return record_body.step(
        event_id, session_id, parent_id, event_type, source, start, end, name, parts, children,
        inputs, outputs,
    )


cdef bytes _step(
    object event_id, object session_id, object parent_id, object event_type, object source,
    int64_t start, int64_t end, object name, dict parts, list children,
    bytes inputs, bytes outputs,
):
    """The record; None where that takes more than to put bytes one behind the other."""
    if start < 0 or not _shortest_ns <= end - start < _longest_ns:
        return None
    if not (_is_simple(event_id, TEXT_MAX) and _is_simple(session_id, TEXT_MAX)):
        return None
    if not (_is_simple(parent_id, TEXT_MAX) and _is_simple(event_type, TEXT_MAX)):
        return None
    if not (_is_simple(source, TEXT_MAX) and _is_simple(name, TEXT_MAX)):
        return None

    cdef char first[FIRST_MAX]
    cdef char *to = first
    to = _put_text(_put_word(to, b'{"event_id":"'), event_id)
    to = _put_text(_put_word(to, b'","session_id":"'), session_id)
    to = _put_text(_put_word(to, b'","parent_id":"'), parent_id)
    to = _put_text(_put_word(to, b'","event_type":"'), event_type)
    to = _put_text(_put_word(to, b'","source":"'), source)
    to = _put_number(_put_word(to, b'","start_time":'), start // 1_000_000)
    to = _put_number(_put_word(to, b',"end_time":'), end // 1_000_000)
    to = _put_milliseconds(_put_word(to, b',"duration":'), end - start)
    to = _put_text(_put_word(to, b',"event_name":"'), name)
    to = _put_word(to, b'"')
    cdef Py_ssize_t size = to - first

    cdef bytes rest = None
    if parts:
        try:
            rest = _dumps(parts)
        except TypeError:
            return None
        size += PyBytes_GET_SIZE(rest) - 1  # a comma for two braces

    # From here to the end nothing runs that could change the list.
    cdef Py_ssize_t i, count = 0 if children is None else PyList_GET_SIZE(children)
    if children is not None:
        size += strlen(b',"children_ids":[]')
        for i in range(count):
            if not _is_simple(<object>PyList_GET_ITEM(children, i), CHILD_MAX):
                return None
            size += PyUnicode_GET_LENGTH(<object>PyList_GET_ITEM(children, i)) + 3
        size -= count > 0
    if inputs is not None:
        size += strlen(b',"inputs":\t\t') + PyBytes_GET_SIZE(inputs)
    if outputs is not None:
        size += strlen(b',"outputs":\t\t') + PyBytes_GET_SIZE(outputs)
    made = PyBytes_FromStringAndSize(NULL, size + 1)

    to = _put(PyBytes_AS_STRING(made), first, to - first)
    if rest is not None:
        to = _put_word(to, b",")
        to = _put(to, PyBytes_AS_STRING(rest) + 1, PyBytes_GET_SIZE(rest) - 2)
    if children is not None:
        to = _put_word(to, b',"children_ids":[')
        for i in range(count):
            to = _put_word(to, b',"' if i else b'"')
            to = _put_text(to, <object>PyList_GET_ITEM(children, i))
            to = _put_word(to, b'"')
        to = _put_word(to, b"]")
    if inputs is not None:
        to = _put_bytes(_put_word(to, b',"inputs":\t'), inputs)
        to = _put_word(to, b"\t")
    if outputs is not None:
        to = _put_bytes(_put_word(to, b',"outputs":\t'), outputs)
        to = _put_word(to, b"\t")
    _put_word(to, b"}")
    return made
