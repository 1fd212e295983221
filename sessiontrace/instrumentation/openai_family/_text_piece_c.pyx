# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``TextPieces``; see ``text_piece``.

Invariant: it takes what the form in ``_text_piece_py`` takes.
"""

cimport cython
from cpython.dict cimport PyDict_Size

from sessiontrace.instrumentation.openai_family._text_piece_py import PADDING

cdef frozenset _padding = PADDING

cdef extern from "Python.h":
    object PyObject_GenericGetDict(object, void*)
    object PyObject_GenericGetAttr(object, object)


@cython.auto_pickle(False)
cdef class TextPieces:
    cdef readonly dict texts
    cdef public tuple rare
    cdef readonly object last

    def __cinit__(self):
        self.texts = {}
        self.rare = ()

    def add(self, chunk):
        if _take_text(chunk, self.texts, self.rare):
            self.last = chunk
        else:
            self.add_other(chunk)


cdef bint _take_text(chunk, dict texts, tuple rare) except -1:
    cdef dict fields, choice_fields, delta_fields
    cdef list choices, pieces
    try:
        fields = <dict?>PyObject_GenericGetDict(chunk, NULL)
        choices = <list?>fields["choices"]
        if len(choices) != 1:
            return False
        choice = choices[0]
        choice_fields = <dict?>PyObject_GenericGetDict(choice, NULL)
        delta = choice_fields["delta"]
        delta_fields = <dict?>PyObject_GenericGetDict(delta, NULL)
        content = delta_fields["content"]
        if type(content) is not str or not content:
            return False
        if (
            fields["usage"] is not None
            or choice_fields["finish_reason"] is not None
            or choice_fields["logprobs"] is not None
        ):
            return False
        if (
            len(<set?>PyObject_GenericGetAttr(delta, "__pydantic_fields_set__")) != 1
            and not _is_alone(delta_fields)
        ):
            return False
        if PyObject_GenericGetAttr(delta, "__pydantic_extra__"):
            return False
        if PyObject_GenericGetAttr(choice, "__pydantic_extra__"):
            return False
        extra = PyObject_GenericGetAttr(chunk, "__pydantic_extra__")
        if extra and not _padding.issuperset(extra):
            return False
        for name in rare:
            if fields[name] is not None:
                return False
        pieces = <list?>texts[choice_fields["index"]]
        pieces.append(content)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


cdef bint _is_alone(dict fields):
    cdef Py_ssize_t empty = 0
    for value in fields.values():
        if value is None:
            empty += 1
    return empty == PyDict_Size(fields) - 1
