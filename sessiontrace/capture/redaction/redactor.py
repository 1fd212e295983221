"""Redaction: secrets masked in the encoded parts of a record, before anything reaches a disk.

Runs in the user's thread. Texts and keys are looked at when they are encoded (``harmless``,
``keys``); only a record with a doubtful one comes here, to be decoded and walked: values under keys
such as ``password``, and texts shaped like tokens, keys or card numbers, also in JSON inside
strings. Invariant: ids and times never come here, what goes out is an object of JSON, and where
masking fails the field is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import orjson

from sessiontrace.capture.encoding.encoder import encode
from sessiontrace.capture.redaction import patterns
from sessiontrace.capture.redaction.clean_text_cache import CleanTextCache
from sessiontrace.capture.redaction.key_names import add_secret_keys, names_secret, normalize_key
from sessiontrace.capture.redaction.patterns import MASK, may_contain_secret

__all__ = ["MASK", "Redactor", "UserRedactor", "kept_fields"]

UserRedactor = Callable[[str, Any], Any]
"""``fn(field, value)``: field is "inputs", "error" ...; returns what is to be recorded."""

_DEPTH = 64
_asking: ContextVar[bool] = ContextVar("sessiontrace.asking", default=False)


class Redactor:
    """``redactor(parts)`` gives the same parts with secrets masked; parts are an encoded object.

    ``keys``: more names whose values are masked. ``emails``: mask e-mail addresses too.
    ``functions``: of the user's, called with every field after that. ``harmless``: texts this
    redactor leaves as they are; where there are functions, none.
    """

    __slots__ = ("_emails", "_functions", "_keys", "_secret", "harmless")

    def __init__(
        self,
        keys: Sequence[str] = (),
        *,
        emails: bool = False,
        functions: Sequence[UserRedactor] = (),
    ) -> None:
        self._keys = frozenset(map(normalize_key, keys))
        self._emails = emails
        self._functions = tuple(functions)
        self._secret = lru_cache(maxsize=2_048)(self._is_secret)
        by_shape = not (emails or functions)
        self.harmless = CleanTextCache(self._is_harmless, by_shape=by_shape)
        add_secret_keys(keys)

    def __call__(self, parts: bytes) -> bytes:
        """A closer look at an encoded object: the same object with secrets masked."""
        try:
            fields: dict[str, Any] = orjson.loads(parts)
            masked = {name: self._masked(value, 0) for name, value in fields.items()}
        except Exception:  # fail closed: nothing of it may go out unseen
            return _gone()
        if self._functions:
            if _asking.get():  # a function of the user's that traces what it does
                return _gone()
            _asking.set(True)
            try:
                for function in self._functions:
                    masked = _asked(function, masked)
            finally:
                _asking.set(False)
        if masked == fields:
            return parts
        try:
            return orjson.dumps(masked)
        except TypeError:
            return _gone()

    def _is_harmless(self, text: str) -> bool:
        if self._functions:  # they see every record
            return False
        if len(text) < patterns.LEAST:
            return True
        if may_contain_secret(text) or (self._emails and "@" in text):
            return self._text(text, 0) == text
        return True

    def _masked(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value, depth)
        if depth > _DEPTH:
            return MASK if isinstance(value, (dict, list)) else value
        if isinstance(value, list):
            return [self._masked(item, depth + 1) for item in value]
        if isinstance(value, dict):
            found: dict[str, Any] = {}
            for key, item in value.items():
                name = patterns.mask_secrets(key)
                while name in found:
                    name += "~"
                hidden = self._secret(key) and item is not None and not isinstance(item, bool)
                found[name] = MASK if hidden else self._masked(item, depth + 1)
            return found
        return value

    def _text(self, text: str, depth: int) -> str:
        if text[:1] in {"{", "["} and depth <= _DEPTH:
            try:
                inner = orjson.loads(text)
                masked = self._masked(inner, _DEPTH - 20)  # deeper strings are read as text
                return text if masked == inner else orjson.dumps(masked).decode()
            except Exception:  # no JSON after all, or cut off
                pass
        text = patterns.mask_secrets(text)
        return patterns.EMAIL.sub(MASK, text) if self._emails and "@" in text else text

    def _is_secret(self, key: str) -> bool:
        return names_secret(key) or normalize_key(key) in self._keys


def _asked(function: UserRedactor, fields: dict[str, Any]) -> dict[str, Any]:
    """Each field as the user's function wants it; without those on which it fails."""
    answers: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            answers[name] = function(name, value)
        except Exception as error:
            answers[name] = error
    return kept_fields(answers)


def kept_fields(answers: dict[str, Any]) -> dict[str, Any]:
    """The answers of a user's function that can be recorded; an exception stands for a failure."""
    kept: dict[str, Any] = {}
    failed = []
    for name, answer in answers.items():
        wanted = str if name in {"event_name", "error"} else dict
        plain = None if isinstance(answer, BaseException) else orjson.loads(encode(answer))
        if isinstance(plain, wanted):
            kept[name] = plain
        else:
            failed.append(name)
    if failed:
        kept["metadata"] = {**kept.get("metadata", {}), "redaction_failed": failed}
    if "event_name" in failed:
        kept["event_name"] = "redacted"
    if "inputs" in failed:
        kept["inputs"] = {}
    return kept


def _gone() -> bytes:
    lost = {"event_name": "redacted", "inputs": {}, "metadata": {"redaction_failed": ["*"]}}
    return orjson.dumps(lost)
