"""Redaction: secrets masked in the encoded parts of a record, before anything reaches a disk.

Runs in the user's thread. ``clean_text_cache`` scans texts and keys when they are encoded; only a
record that needs masking comes here, to be decoded, masked by ``masker`` and shown to the user's
functions. Invariant: ids and times never come here, the result is a JSON object, and where masking
fails the field is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import orjson

from sessiontrace.capture.encoding.encoder import encode
from sessiontrace.capture.redaction.clean_text_cache import CleanTextCache, add_secret_keys
from sessiontrace.capture.redaction.masker import Masker
from sessiontrace.capture.redaction.text_masks import MASK
from sessiontrace.model.lazy_pattern import compile_all
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["MASK", "Redactor", "UserRedactor", "accepted_fields"]

UserRedactor = Callable[[str, Any], Any]
"""``fn(field, value)``: field is "inputs", "error" ...; returns what is to be recorded."""

_in_user_function: ContextVar[bool] = ContextVar("sessiontrace.in_user_function", default=False)


class Redactor:
    """``redactor(parts)`` returns the same parts with secrets masked; parts are an encoded object.

    ``keys``: more names whose values are masked. ``emails``: mask e-mail addresses too.
    ``functions``: of the user's, called with every field after that. ``clean_texts``: the texts
    that this redactor leaves as they are; none where there are functions.
    """

    __slots__ = ("_functions", "_masker", "clean_texts")

    def __init__(
        self,
        keys: Sequence[str] = (),
        *,
        emails: bool = False,
        functions: Sequence[UserRedactor] = (),
    ) -> None:
        compile_all()
        self._functions = tuple(functions)
        self._masker = Masker(keys, emails=emails)
        self.clean_texts: CleanTextCache = CleanTextCache(self._masker, always=bool(functions))
        add_secret_keys(keys)

    def __call__(self, parts: bytes) -> bytes:
        """Decode an encoded object, mask it, and encode it again."""
        try:
            fields: dict[str, Any] = orjson.loads(parts)
            masked = {name: self._masker.mask_value(value) for name, value in fields.items()}
        except Exception as error:  # fail closed: an unmasked field must not pass
            raise_if_from_signal(error)
            return _dropped()
        if self._functions:
            if _in_user_function.get():  # a user's function traces what it does itself
                return _dropped()
            _in_user_function.set(True)
            try:
                for function in self._functions:
                    masked = _apply(function, masked)
            finally:
                _in_user_function.set(False)
        if masked == fields:
            return parts
        try:
            return orjson.dumps(masked)
        except TypeError:
            return _dropped()


def _apply(function: UserRedactor, fields: dict[str, Any]) -> dict[str, Any]:
    """Each field as the user's function returns it, without the fields on which it fails."""
    answers: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            answers[name] = function(name, value)
        except Exception as error:
            raise_if_from_signal(error)
            answers[name] = error
    return accepted_fields(answers)


def accepted_fields(answers: dict[str, Any]) -> dict[str, Any]:
    """The answers of a user's function that can be recorded; an exception counts as a failure."""
    fields: dict[str, Any] = {}
    failed = []
    for name, answer in answers.items():
        expected = str if name in {"event_name", "error"} else dict
        plain = None if isinstance(answer, BaseException) else orjson.loads(encode(answer))
        if isinstance(plain, expected):
            fields[name] = plain
        else:
            failed.append(name)
    if failed:
        fields["metadata"] = {**fields.get("metadata", {}), "redaction_failed": failed}
    if "event_name" in failed:
        fields["event_name"] = "redacted"
    if "inputs" in failed:
        fields["inputs"] = {}
    return fields


def _dropped() -> bytes:
    """The parts of a record that could not be masked."""
    return orjson.dumps(
        {"event_name": "redacted", "inputs": {}, "metadata": {"redaction_failed": ["*"]}}
    )
