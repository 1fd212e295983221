"""Masks the secrets of one text: tokens, keys, logins, assignments, card numbers.

Pure, called from any thread. Invariant: ``may_contain_secret`` is true of every text that
``mask_secrets`` changes.
"""

from __future__ import annotations

import binascii
import re

from sessiontrace.capture.redaction.assignments import mask_assignments
from sessiontrace.capture.redaction.credentials import is_reference, looks_generated
from sessiontrace.capture.redaction.tokens import SHORTEST_SECRET, TOKEN
from sessiontrace.model.lazy_pattern import lazy_pattern

MASK = "***"

_LETTERS = re.IGNORECASE | re.ASCII  # else a long s matches an s, which no scan knows of

_PEM = lazy_pattern(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END[^-]{0,40}-----|\Z)"
)
_SCHEME = lazy_pattern(r"\b(bearer|basic)(\s{1,8})([A-Za-z0-9._~+/=-]{8,})", _LETTERS)
_LOGIN = lazy_pattern(r"(?<=://)[^\s\"'<>`\\]{1,400}")
_HOST = lazy_pattern(r"[\w.-]+(?::\d{1,5})?(?=[/?#,;:)\]}]|\Z)|\[[0-9a-f:]+\]", _LETTERS)
_GO_LOGIN = lazy_pattern(r"(?<![\w.-])[\w.-]{1,64}:[^\s@\"']{1,128}(?=@(?:tcp|unix)\()")
_SIGNED = lazy_pattern(
    r"(?<=[?&])((?:sig|key|signature|x-amz-signature|x-amz-security-token|x-goog-signature)=)"
    r"([A-Za-z0-9%+/_=-]{12,})",
    _LETTERS,
)
_USER_OPTION = lazy_pattern(
    r"((?<=\s)(?:-u|-U|--user|--proxy-user)[ =]{0,3}[\"']?)([^\s:\"'/]{0,64}:[^\s\"']{1,256})"
)
_IDENTIFIED = lazy_pattern(r"((?:identified by|IDENTIFIED BY) ')[^'\n]{1,256}(?=')")
_JOINT = r"[ \u00a0\u2009\u202f\u2010-\u2013./_-]?"  # between the groups of a card number
_CARD = lazy_pattern(
    r"(?<![\w.])(?:(?<![0-9]{4}[ -])"  # not the second part of a longer number
    r"|(?<=\\u[0-9a-fA-F]{4}[ -])|(?<=\\U[0-9a-fA-F]{8}[ -]))(?:"  # behind an escape in a repr
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|4[4-9][0-9]|5[0-9]{2}|2[0-9]{2})|35[0-9]{2})"
    rf"({_JOINT})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}"
    rf"|3[47][0-9]{{2}}({_JOINT})[0-9]{{6}}\2[0-9]{{5}}"
    rf"|3(?:0[0-5]|[68][0-9])[0-9]({_JOINT})[0-9]{{6}}\3[0-9]{{4}})"
    r"(?![ -]?[0-9]|[\w]|\.[0-9])"
)
EMAIL = lazy_pattern(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


def mask_secrets(text: str) -> str:
    """The text with everything that matches a pattern of a secret masked."""
    if len(text) < SHORTEST_SECRET:
        return text
    text = TOKEN.sub(MASK, text)
    if "PRIVATE KEY" in text:
        text = _PEM.sub(MASK, text)
    if "=" in text or ":" in text or "'" in text or '"' in text or "--" in text or ">" in text:
        text = mask_assignments(text, MASK)
    if "://" in text:
        text = _LOGIN.sub(_login, text)
        text = _SIGNED.sub(r"\1" + MASK, text)
    if "@tcp(" in text or "@unix(" in text:
        text = _GO_LOGIN.sub(MASK, text)
    low = text.lower()
    if "bearer" in low or "basic" in low:
        text = _SCHEME.sub(_scheme, text)
    if "curl" in low or "wget" in low:
        text = _USER_OPTION.sub(_user_option, text)
    if "identified by '" in low:
        text = _IDENTIFIED.sub(r"\1" + MASK, text)
    return _CARD.sub(_card, text)


def _scheme(match: re.Match[str]) -> str:
    """The credentials of a ``Bearer`` or ``Basic`` scheme; the words have other meanings too."""
    value = match[3].rstrip(".")
    if "=" not in value[:400] and not any(map(str.isdigit, value[:400])):
        return match[0]
    if match[1].lower() == "basic":
        try:
            is_secret = b":" in binascii.a2b_base64(value + "=" * (-len(value) % 4))
        except binascii.Error:
            is_secret = False
    else:
        is_secret = looks_generated(value)
    return f"{match[1]}{match[2]}{MASK}{match[3][len(value) :]}" if is_secret else match[0]


def _login(match: re.Match[str]) -> str:
    """A URL behind its ``://`` without the login in it; a password may have any sign in it."""
    url = match[0]
    at = url.rfind("@")
    while at > 0 and _HOST.match(url, at + 1) is None:
        at = url.rfind("@", 0, at)
    if at <= 0:
        return url
    login = url[:at]
    user, colon, password = login.partition(":")
    if not colon:
        is_secret = looks_generated(login, 16) and "/" not in login
    elif "/" in user or ("@" in user and "/" in password) or not password:
        return url
    else:
        is_secret = not is_reference(password) and re.match(r"\d{1,5}/", password) is None
    return MASK + url[at:] if is_secret else url


def _user_option(match: re.Match[str]) -> str:
    password = match[2].partition(":")[2]
    is_secret = not is_reference(password) and not password.isdigit()
    return match[1] + MASK if is_secret else match[0]


def _card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    if len(set(digits)) < 2:
        return match[0]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return MASK if (sum(digits[::-2]) + sum(doubled)) % 10 == 0 else match[0]
