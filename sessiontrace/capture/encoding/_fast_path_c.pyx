# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``classify`` and ``encode_fast``; see ``fast_path``.

Runs in users' threads, always with the interpreter's lock. Invariant: each returns what the form
in ``_fast_path_py`` returns.
"""

import datetime
import uuid

import orjson

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.object cimport PyObject_Hash
from cpython.set cimport PySet_Contains

from sessiontrace.capture.redaction._patterns_c cimport may_contain_secret

from sessiontrace.capture.encoding._fast_path_py import CAP, DEPTH, ROOM
from sessiontrace.capture.encoding.media import MEDIA_MIN, is_media
from sessiontrace.capture.redaction.clean_text_cache import CLEAN_KEYS, KEY_MAX, all_keys_clean
from sessiontrace.capture.redaction._patterns_py import NAME_MIN
from sessiontrace.runtime.signals import raise_if_from_signal

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef set _clean_keys = CLEAN_KEYS
cdef Py_ssize_t _media_min = MEDIA_MIN, _shortest = NAME_MIN, _key_max = KEY_MAX
cdef Py_ssize_t _cap = CAP, _room = ROOM
cdef int _depth = DEPTH
cdef object _date = datetime.date, _datetime = datetime.datetime, _timezone = datetime.timezone
cdef object _uuid = uuid.UUID, _dumps = orjson.dumps

cdef enum:
    CHEAP = 512     # a shorter text is scanned each time: remembering it would cost more


@cython.final
@cython.freelist(8)
cdef class _Classifier:
    """What is known on the way down: room left, and whether a key or text must be masked."""

    cdef Py_ssize_t room
    cdef bint needs_redaction, masks, scan_suffices
    cdef set clean
    cdef object clean_texts

    cdef bint passes(self, object value, int depth) except -1:
        """Whether a value is plain."""
        cdef object kind = type(value)
        if kind is str:
            return self.passes_text(value)
        if kind is dict:
            if not self.enters(len(<dict>value), depth) or not self.passes_keys(<dict>value):
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
        if kind is _datetime:  # orjson would run the code of a time zone of the user's
            return value.tzinfo is None or type(value.tzinfo) is _timezone
        return (
            value is None or kind is int or kind is float or kind is bool
            or kind is _date or kind is _uuid
        )

    cdef bint enters(self, Py_ssize_t nodes, int depth) noexcept:
        self.room -= 8 * nodes
        return self.room >= 0 and depth > 0

    cdef bint passes_keys(self, dict value) except -1:
        for key in value:
            if type(key) is not str:
                return False
            if not PySet_Contains(_clean_keys, key):
                return self.passes_new_keys(value)
        return True

    cdef bint passes_new_keys(self, dict value) except -1:
        for key in value:
            if type(key) is not str or PyUnicode_GET_LENGTH(key) > _key_max:
                return False
        if not all_keys_clean(value):
            self.needs_redaction = True
        return True

    cdef bint passes_text(self, str text) except -1:
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
        self.room -= length
        if self.room < 0:  # before the hash, which reads a new text whole
            return False
        if length < CHEAP:
            if not self.masks:
                return True
            if self.scan_suffices and (length < _shortest or not may_contain_secret(text)):
                return True
        cdef object key = PyObject_Hash(text)
        if PySet_Contains(self.clean, key):
            return True
        if length >= _media_min and is_media(text):
            return False
        if self.scan_suffices and length >= CHEAP and not may_contain_secret(text):
            self.clean_texts.remember_clean(key)
        elif self.clean_texts.needs_masking((text,)):
            self.needs_redaction = True
        return True


cpdef int classify(value, Py_ssize_t room, int depth, clean_texts) except -2:
    cdef _Classifier classifier = _Classifier.__new__(_Classifier)
    classifier.room = room
    classifier.clean = clean_texts.hashes
    classifier.masks = clean_texts.masks
    classifier.scan_suffices = clean_texts.scan_suffices
    classifier.clean_texts = clean_texts
    if not classifier.passes(value, depth):
        return -1
    return 1 if classifier.needs_redaction else 0


def encode_fast(value, clean_texts):
    if type(value) is not dict:
        return None
    try:
        if classify(value, _room, _depth, clean_texts) != 0:
            return None
        encoded = _dumps(value)
    except Exception as error:  # orjson refuses it, or another thread changed it
        raise_if_from_signal(error)
        return None
    return encoded if PyBytes_GET_SIZE(encoded) <= _cap else None
