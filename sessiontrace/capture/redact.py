"""Redaction: secrets masked in the encoded parts of a record, before anything reaches a disk.

Runs in the user's thread, on bytes. A search for literals decides whether to look closer; only then
the parts are decoded and walked: values under keys such as ``password``, and texts shaped like
tokens, keys or card numbers, also in JSON inside strings. Invariant: ids and times never come here,
what goes out is an object of JSON, and where masking fails the field is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import orjson

from sessiontrace.capture.encode import encode
from sessiontrace.capture.keys import names_secret, squeezed, vetted, watch_for

__all__ = ["MASK", "Redactor", "UserRedactor", "kept_fields"]

MASK = "***"

UserRedactor = Callable[[str, Any], Any]
"""``fn(field, value)``: field is "inputs", "error" ...; returns what is to be recorded."""

_DEPTH = 64
_asking: ContextVar[bool] = ContextVar("sessiontrace.asking", default=False)

# Small letters, hyphens and underscores as spaces.
_SPELLING = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", b"abcdefghijklmnopqrstuvwxyz  ")
# What tokens are made of as `a`, all else as a space; digits as `0`, what joins them as a space.
_WORDLIKE = b"-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RUNS = bytes(97 if byte in _WORDLIKE else 32 for byte in range(256))
_RUN = b"a" * 14  # the shortest stretch that any of the shapes below has
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte < 58)
_CARD_MIN = 14  # digits
_DIGITS = bytes(48 if 48 <= byte < 58 else 32 if byte in b" -" else 120 for byte in range(256))

_GROUPS = b"0000 0000"  # in every card number written in groups
_WORDS = (
    b"passw", b"passphrase", b"pwd", b"secret", b"api key", b"apikey", b"access key", b"accesskey",
    b"private key", b"privatekey", b"token", b"cookie", b"authoriz",
)  # fmt: skip
_LEAST = 48  # bytes; shorter parts hold nothing that has a shape

_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{16,}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{11,}"
    r"|eyJ[A-Za-z0-9_-]{13,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}"
    r"|hf_[A-Za-z0-9]{20,}|hh_[A-Za-z0-9_]{16,}|ph[cx]_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}"
    r")"
)
_PEM = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]*?(?:-----END[^-]{0,40}-----|\Z)")
_SCHEME = re.compile(
    r"\b(bearer|basic)(\s+)(?=[A-Za-z._~+/=-]{0,400}[0-9=])[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE
)
_HEADER = re.compile(
    r"((?:set-)?cookie|(?:proxy-)?authorization)([\"'\\]{0,3}\s{0,3}[:=]\s{0,3}[\"'\\]{0,3})"
    r"[^\r\n\"'\\]+",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"((?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|token)"
    r"[\w-]{0,20}[\"'\\]{0,3}\s{0,3}[:=]\s{0,3}[\"'\\]{0,3})([^\s\"'\\,;&}\])]{3,})",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?<=://)[^\s/:@\"']{0,64}:[^\s/@\"']{1,256}(?=@)")
_CARD = re.compile(r"(?<![\w.])[2-6](?:[ -]?[0-9]){13,15}(?![\w.]?[0-9])")
_CARDLIKE = re.compile(rb"[2-6](?:[ -]?[0-9]){13}")
_SHAPED = re.compile(
    _SHAPES.pattern.encode() + rb"|(?i:bearer|basic)\\?\s?|PRIVATE KEY|" + _CARDLIKE.pattern
)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


class Redactor:
    """``redactor(parts)`` gives the same parts with secrets masked; parts are an encoded object.

    ``keys``: more names whose values are masked. ``emails``: mask e-mail addresses too.
    ``functions``: of the user's, called with every field after that.
    """

    __slots__ = ("_emails", "_functions", "_keys", "_secret")

    def __init__(
        self,
        keys: Sequence[str] = (),
        *,
        emails: bool = False,
        functions: Sequence[UserRedactor] = (),
    ) -> None:
        self._keys = frozenset(map(squeezed, keys))
        self._emails = emails
        self._functions = tuple(functions)
        self._secret = lru_cache(maxsize=2_048)(self._is_secret)
        watch_for(keys)

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

    def suspicious(self, parts: bytes) -> bool:
        """Whether there is anything in the texts to look at. Errs to that side only."""
        if self._functions:
            return True
        if len(parts) < _LEAST:
            return False
        if _RUN in parts.translate(_RUNS) and _SHAPED.search(parts) is not None:
            return True
        if len(parts.translate(None, _NO_DIGITS)) >= _CARD_MIN and (
            _GROUPS in parts.translate(_DIGITS) and _CARDLIKE.search(parts) is not None
        ):
            return True
        if b"@" in parts and (self._emails or b"://" in parts):
            return True
        if b"\\" in parts and b'\\"' in parts:  # JSON in a text, perhaps
            keys = (piece[piece.rfind(b'"') + 1 : -1] for piece in parts.split(b'\\":')[:-1])
            if not vetted(key.decode("utf-8", "replace") for key in keys):
                return True
        elif b"=" not in parts and parts.count(b":") <= parts.count(b'":'):
            return False
        spelt = parts.translate(_SPELLING)
        return any(word in spelt for word in _WORDS)

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
                name = _tokens(key)
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
        text = _tokens(text)
        return _EMAIL.sub(MASK, text) if self._emails and "@" in text else text

    def _is_secret(self, key: str) -> bool:
        return names_secret(key) or squeezed(key) in self._keys


def _tokens(text: str) -> str:
    """The text with everything shaped like a secret masked."""
    if len(text) < 8:
        return text
    text = _SHAPES.sub(MASK, text)
    if "PRIVATE KEY" in text:
        text = _PEM.sub(MASK, text)
    low = text.lower()
    if "bearer" in low or "basic" in low:
        text = _SCHEME.sub(r"\1\2" + MASK, text)
    if "cookie" in low or "authorization" in low:
        text = _HEADER.sub(r"\1\2" + MASK, text)
    if "://" in text:
        text = _LOGIN.sub(MASK, text)
    if "=" in text or ":" in text:
        text = _ASSIGNED.sub(r"\1" + MASK, text)
    return _CARD.sub(_card, text)


def _card(found: re.Match[str]) -> str:
    digits = [int(char) for char in found[0] if char.isdigit()]
    if len(digits) < 14 or len(set(digits)) < 2:
        return found[0]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return MASK if (sum(digits[::-2]) + sum(doubled)) % 10 == 0 else found[0]


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
