"""The Python form of ``may_contain_secret``; see ``patterns``.

Pure, called from any thread. It is asked of every new text and costs a few searches through it;
``mask_secrets`` decides. Invariant: it is true of every text that ``mask_secrets`` would change,
and of every text that is the name of a secret.
"""

from __future__ import annotations

import re

from sessiontrace.capture.redaction.key_names import MAY_NAME_SECRET
from sessiontrace.capture.redaction.tokens import SHORTEST_SECRET, TOKEN
from sessiontrace.model.lazy_pattern import lazy_pattern

NAME_MIN = 3
"""Characters of the shortest name of a secret: a shorter text is clean."""

NAME_MAX = 48
"""Characters of the longest text that is looked at as the name of a secret in a pair."""

WORDS = (
    "pass", "pwd", "secret", "key", "token", "cookie", "auth", "cred", "jwt", "csrf", "xsrf", "cvv",
    "cvc", "ssn", "otp", "card", "bearer", "wort", "social", "pincode", "sig",
)  # fmt: skip
"""A part of each name of a secret."""

# Deleting the bytes that no pattern starts with leaves little of ordinary prose, so that searching
# the remainder is cheap.
_SIGNIFICANT = b"0123456789:=@-_AJ>\"'"
_LINE, _A, _J = b"_AJ"
_INSIGNIFICANT = bytes(byte for byte in range(256) if byte not in _SIGNIFICANT)
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte < 58)
_CARD_DIGITS = 14
_ZEROS = bytes(48 if 48 <= byte < 58 else 46 for byte in range(256))  # every digit becomes 0
_CARD_ZEROS = b"0" * _CARD_DIGITS
# Every letter of a token becomes `a`, any other byte a space.
_TOKEN_LETTERS = b"-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RUNS = bytes(97 if byte in _TOKEN_LETTERS else 32 for byte in range(256))
_RUN = b"a" * 13  # the shortest run of letters that a token has
_BEFORE, _BEHIND = 40, 60  # characters of a token outside its run: a host, the parts of a JWT
_RUNS_MAX = 8  # searched one by one; then the rest of the text at once
_REACH = 100  # how far before a sign a name may begin
_SIGNS_MAX = 8  # looked before one by one; more make a search through the whole text cheaper
_SIGNS = (":", "=", '",', "',", ">", " '", '" v', "' v")
_LOGIN_OPTION = lazy_pattern(r"\s(?:-[uU]|--user|--proxy-user)")
_CARDLIKE = lazy_pattern(
    rb"[2-6](?:[ -]?[0-9]){13}"
    rb"|[2-6][0-9]{3}(?:[./_]|\xc2\xa0|\xe2\x80.)[0-9]{4,6}(?:[./_]|\xc2\xa0|\xe2\x80.)[0-9]{4}",
    re.DOTALL,
)
_CARD_JOINTS = b" -./_\xc2\xa0\xe2\x80\x89\xaf\x90\x91\x92\x93"


def may_contain_secret(text: str) -> bool:
    """Whether a text may hold a secret, or be the name of one. Errs to that side only."""
    if len(text) <= NAME_MAX and " " not in text and MAY_NAME_SECRET.search(text) is not None:
        return True
    if len(text) < SHORTEST_SECRET:
        return False
    # Searching a `str` costs half of what searching `bytes` costs, but bytes can be deleted.
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return True
    if not text.isascii():  # one character a byte: wider strings are slow to search
        text = raw.decode("latin-1")
    if text[:1] in "{[":  # JSON, perhaps
        return True
    significant = raw.translate(None, _INSIGNIFICANT)
    if not significant:
        return False
    digits = significant
    if not significant.isdigit():
        if _has_sign_and_word(text, raw, significant):
            return True
        digits = significant.strip(_NO_DIGITS)
    if len(digits) >= _CARD_DIGITS and _is_cardlike(raw, digits):
        return True
    if digits or b"=" in significant:
        low = _lower(text, raw)
        if "bearer" in low or "basic" in low:
            return True
    # Each token has one of these beside its long run of letters.
    return (
        bool(digits)
        or b"-" in significant
        or _LINE in significant
        or _A in significant
        or _J in significant
    ) and _has_token(text, raw)


def _lower(text: str, raw: bytes) -> str:
    """The text with its ASCII letters small; ``str.lower`` is slow where other letters are."""
    return text.lower() if text.isascii() else raw.lower().decode("latin-1")


def _has_sign_and_word(text: str, raw: bytes, significant: bytes) -> bool:
    """Whether there is a sign together with a word of a secret."""
    signs = sum(map(significant.count, (b":", b"=", b">", b"'", b'"')))
    if (signs or b"--" in significant) and _is_assigned(text, _lower(text, raw), signs):
        return True
    if b"@" in significant and ("://" in text or "@tcp(" in text or "@unix(" in text):
        return True
    return b"-" in significant and ("PRIVATE KEY" in text or _LOGIN_OPTION.search(text) is not None)


def _is_cardlike(raw: bytes, digits: bytes) -> bool:
    return (
        len(digits.translate(None, _NO_DIGITS)) >= _CARD_DIGITS
        and _CARD_ZEROS in raw.translate(_ZEROS, _CARD_JOINTS)
        and _CARDLIKE.search(raw) is not None
    )


def _has_token(text: str, raw: bytes) -> bool:
    """Whether there is a token; only runs of letters long enough for one are searched."""
    runs = raw.translate(_RUNS)
    at = runs.find(_RUN)
    for _ in range(_RUNS_MAX):
        if at < 0:
            return False
        end = runs.find(b" ", at)
        if end < 0:
            end = len(runs)
        if TOKEN.search(text, max(0, at - _BEFORE), end + _BEHIND) is not None:
            return True
        at = runs.find(_RUN, end)
    return at >= 0 and TOKEN.search(text, max(0, at - _BEFORE)) is not None


def _is_assigned(text: str, low: str, signs: int) -> bool:
    """Whether one of the words comes before a sign that assigns, or after two hyphens."""
    if signs > _SIGNS_MAX or "--" in text:
        return any(word in low for word in WORDS)
    if " by '" in low:
        return True
    for sign in _SIGNS:
        at = low.find(sign)
        while at >= 0:
            before = low[max(0, at - _REACH) : at]
            for word in WORDS:
                if word in before:
                    return True
            at = low.find(sign, at + 1)
    return False
