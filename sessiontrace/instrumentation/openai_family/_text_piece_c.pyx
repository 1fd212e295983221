# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``take_text``; see ``text_piece``.

Invariant: it takes what the form in ``_text_piece_py`` takes.
"""

from cpython.dict cimport PyDict_Size

from sessiontrace.instrumentation.openai_family._text_piece_py import PADDING

cdef frozenset _padding = PADDING


def take_text(chunk, dict texts not None, tuple rare not None):
    cdef dict fields, choice_fields
    cdef list pieces
    try:
        fields = <dict?>chunk.__dict__
        (choice,) = fields["choices"]
        choice_fields = <dict?>choice.__dict__
        delta = choice_fields["delta"]
        content = delta.content
        if type(content) is not str or not content:
            return False
        if (
            fields["usage"] is not None
            or choice_fields["finish_reason"] is not None
            or choice_fields["logprobs"] is not None
        ):
            return False
        if len(delta.__pydantic_fields_set__) != 1 and not _is_alone(<dict?>delta.__dict__):
            return False
        if delta.__pydantic_extra__ or choice.__pydantic_extra__:
            return False
        extra = chunk.__pydantic_extra__
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
