"""Whether a value without quotes, behind the name of a secret, is the secret, and where it ends.

``password=hunter2`` and ``X-Api-Key: abc`` are; in ``password: str``, ``token=next(tokens)`` and
``Cookie: a small cake`` the words behind the name are not. Pure, called from any thread. Invariant:
linear, since the first ``_DECISIVE`` characters of a value decide.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sessiontrace.capture.redaction.credentials import is_reference, is_words, looks_generated
from sessiontrace.capture.redaction.key_names import Secrecy, secrecy_of
from sessiontrace.model.lazy_pattern import lazy_pattern

_DECISIVE = 400
_BARE = lazy_pattern(rf"[^\s\"'`,;&<>\\]{{1,{_DECISIVE}}}")
_VARIABLE = lazy_pattern(rf"[^\s\"'`<>\\]{{1,{_DECISIVE}}}")
_ELEMENT = lazy_pattern(rf"[^<>]{{1,{_DECISIVE}}}")
_HEADER = lazy_pattern(rf"[^\r\n\"'\\]{{1,{_DECISIVE}}}")
_TAIL = lazy_pattern(r"[)\]}>.,:!?]{1,8}\Z")
_CALL = lazy_pattern(r"[A-Za-z_][\w.]{0,80}[(\[]", re.ASCII)
_PATH = lazy_pattern(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_COOKIE = lazy_pattern(r"[\w.%-]{1,120}=[^\s;]", re.ASCII)
_SCHEMES = frozenset({
    "bearer", "basic", "digest", "token", "apikey", "api-key", "negotiate", "ntlm", "bot", "key",
    "hmac", "splunk", "sso-key", "geniekey", "aws4-hmac-sha256", "hawk", "mac", "jwt",
})  # fmt: skip
_CONSTANTS = frozenset({
    "none", "null", "nil", "true", "false", "undefined", "str", "string", "int", "integer",
    "bytes", "bool", "boolean", "float", "number", "any", "object", "dict", "list", "array",
    "text", "optional", "required", "secretstr", "hidden", "invalid", "missing", "incorrect",
    "wrong", "unknown", "yes", "no", "on", "off", "enabled", "disabled", "redacted", "masked",
    "self", "must", "should", "is", "the", "a", "an", "not", "unset", "empty", "expired",
    "changed", "ok", "error", "input", "value",
})  # fmt: skip
_PROSE = frozenset({"token", "tokens", "auth", "authentication", "authorization", "required"})
_PASSWORDS = ("password", "passwd", "pwd", "passphrase", "secret", "cvv", "cvc", "otp")
_SYMBOLS = frozenset("!@#$%^&*+=~")


class Place(NamedTuple):
    """Where a value is: behind a ``name``, which begins at ``start``, and its ``sign``."""

    text: str
    name: str
    sign: str
    start: int
    at: int

    @property
    def is_in_query(self) -> bool:
        """Whether this is a parameter of a URL or form."""
        return self.sign == "=" and self.start > 0 and self.text[self.start - 1] in "?&"

    @property
    def is_variable(self) -> bool:
        """Whether this sets a variable of the environment."""
        return self.sign == "=" and self.name.isupper()


def end_of_bare_value(place: Place, secrecy: Secrecy) -> int:
    """Where the secret behind the sign ends; ``place.at`` where the value is not one."""
    last = place.name.lower().rpartition("-")[2]
    if last in {"authorization", "cookie"} and "=" not in place.sign:
        return _end(place, _HEADER, _header_value(place, last))
    if place.sign[0] == ">":
        return _end(place, _ELEMENT, _any_value(place, _ELEMENT))
    if place.is_variable:
        return _end(place, _VARIABLE, _any_value(place, _VARIABLE))
    return _end(place, _BARE, _value(place, secrecy))


def _end(place: Place, pattern: re.Pattern[str], value: str) -> int:
    end = place.at + len(value)
    if len(value) == _DECISIVE:
        while (match := pattern.match(place.text, end)) is not None:
            end = match.end()
    return end


def _any_value(place: Place, pattern: re.Pattern[str]) -> str:
    """A value that is a secret whatever its letters."""
    match = pattern.match(place.text, place.at)
    if match is None or is_reference(match[0].strip()) or _CALL.match(match[0]):
        return ""
    if match[0].startswith(("${", "{{", "$(")):  # a template with spaces in it
        return ""
    return "" if match[0].strip().lower() in _CONSTANTS else match[0]


def _value(place: Place, secrecy: Secrecy) -> str:
    value = _any_value(place, _BARE)
    if (tail := _TAIL.search(value)) is not None:
        value = value[: tail.start()]
    if is_reference(value) or value.lower() in _CONSTANTS:
        return ""
    end = place.at + len(value)
    is_parameter = place.is_in_query or place.text[end : end + 1] == "&"
    if secrecy is Secrecy.PERHAPS:
        is_secret = looks_generated(value, 7 if not value.isidentifier() else 12)
        return value if is_secret or (is_parameter and len(value) > 3) else ""
    is_option = place.sign.isspace()
    return value if is_parameter or is_option or _is_literal(place, value) else ""


def _is_literal(place: Place, value: str) -> bool:
    """Whether a value is a literal rather than a type, a variable or prose."""
    name = place.name.lower()
    if secrecy_of(value) is not Secrecy.NONE or len(value) < 3:
        return False
    if _PATH.fullmatch(value) and not looks_generated(value, 20):
        return False
    if value.isdigit():
        return name.endswith(_PASSWORDS) and len(value) > 2
    if any(map(str.isdigit, value)) or not _SYMBOLS.isdisjoint(value) or looks_generated(value, 16):
        return True
    if place.name[:1].isupper() and "-" in place.name and ":" in place.sign:  # a header
        return True
    following = place.text[place.at + len(value) : place.at + len(value) + 1]
    if place.sign == "=":
        return value.isalpha() and following not in {",", ")"}
    before = place.text[place.text.rfind("\n", 0, place.start) + 1 : place.start]
    is_line = not before.strip(" -") and following in {"", "\n", "\r"}
    return is_line and ":" in place.sign and value.islower() and name.endswith(_PASSWORDS)


def _header_value(place: Place, name: str) -> str:
    """The value of ``Authorization:`` or ``Cookie:`` in the lines of a request."""
    match = _HEADER.match(place.text, place.at)
    if match is None:
        return ""
    value = match[0].rstrip(" )]")
    value = value if "{" in value else value.rstrip("}")
    if name == "cookie":
        return value if _COOKIE.match(value) else ""
    scheme, _, credentials = value.partition(" ")
    credentials = credentials.strip()
    is_secret = looks_generated(value) or (
        scheme.lower() in _SCHEMES
        and not is_reference(credentials)
        and not (" " in credentials and is_words(credentials))
        and credentials.lower() not in _PROSE
    )
    return value if is_secret else ""
