"""The patterns of secrets in texts, and the Python form of ``may_contain_secret``.

Pure, called from any thread; see ``patterns``. ``may_contain_secret`` is asked of every new text
and costs a few searches through it; ``mask_secrets`` decides. Invariant: ``may_contain_secret`` is
true of every text that ``mask_secrets`` would change.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MASK = "***"

SHORTEST_SECRET = 8
"""Characters; a shorter text matches no pattern."""


class TokenPattern(NamedTuple):
    """One kind of token: ``prefix`` (a pattern), then at least ``least`` of the ``letters``."""

    prefix: str
    letters: str
    least: int
    suffix: str = ""


_ALNUM = "[A-Za-z0-9]"
_ALNUM_JOINT = "[A-Za-z0-9_-]"

TOKENS = (
    TokenPattern("sk-", _ALNUM_JOINT, 16),
    TokenPattern("[sr]k_(?:live|test)_", _ALNUM, 10),
    TokenPattern("gh[pousr]_", _ALNUM, 20),
    TokenPattern("github_pat_", "[A-Za-z0-9_]", 20),
    TokenPattern("glpat-", _ALNUM_JOINT, 16),
    TokenPattern("xox[abeoprs]-", "[A-Za-z0-9-]", 11),
    TokenPattern("eyJ", _ALNUM_JOINT, 13, r"\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),  # JWT
    TokenPattern("(?:AKIA|ASIA)", "[A-Z0-9]", 16),
    TokenPattern("AIza", _ALNUM_JOINT, 30),
    TokenPattern(r"ya29\.", _ALNUM_JOINT, 20),
    TokenPattern("hf_", _ALNUM, 20),
    TokenPattern("hh_", "[A-Za-z0-9_]", 16),
    TokenPattern("ph[cx]_", _ALNUM, 20),
    TokenPattern("npm_", _ALNUM, 30),
)
"""The tokens that are masked. A test holds both forms of ``may_contain_secret`` against it: who
adds a prefix here adds it to ``_patterns_c.pyx`` too."""

# Deleting the bytes that no pattern starts with leaves little of ordinary prose, so that searching
# the remainder is cheap.
_SIGNIFICANT = b"0123456789:=@-_AJ"
_COLON, _EQUALS, _AT, _HYPHEN, _LINE, _A, _J = b":=@-_AJ"
_TWO, _NINE = b"29"
_INSIGNIFICANT = bytes(byte for byte in range(256) if byte not in _SIGNIFICANT)
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte < 58)
_CARD_DIGITS = 14
_ZEROS = bytes(48 if 48 <= byte < 58 else 46 for byte in range(256))  # every digit becomes 0
_CARD_ZEROS = b"0" * _CARD_DIGITS
# Every letter of a token becomes `a`, any other byte a space.
_TOKEN_LETTERS = b"-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RUNS = bytes(97 if byte in _TOKEN_LETTERS else 32 for byte in range(256))
_RUN = b"a" * 14  # the shortest run of letters that a token has
_BEFORE, _BEHIND = 5, 9  # characters of a token outside its run: `ya29.`, the second part of eyJ
_RUNS_MAX = 8  # searched one by one; then the rest of the text at once
# A part of each word of _ASSIGNED and _HEADER, and how far before the sign it may begin.
_WORDS = ("pass", "pwd", "secret", "key", "token", "cookie", "authorization")
_REACH = 40
_SIGNS_MAX = 8  # looked before one by one; more make a search through the whole text cheaper

# ASCII: else a long s matches an s, and `may_contain_secret` must know of it.
_LETTERS = re.IGNORECASE | re.ASCII

_TOKEN = re.compile(
    "(?<![A-Za-z0-9])(?:"
    + "|".join(f"{token.prefix}{token.letters}{{{token.least},}}{token.suffix}" for token in TOKENS)
    + ")"
)
_PEM = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]*?(?:-----END[^-]{0,40}-----|\Z)")
_SCHEME = re.compile(
    r"\b(bearer|basic)(\s+)(?=[A-Za-z._~+/=-]{0,400}[0-9=])[A-Za-z0-9._~+/=-]{8,}",
    _LETTERS,
)
_HEADER = re.compile(
    r"((?:set-)?cookie|(?:proxy-)?authorization)([\"'\\]{0,3}\s{0,3}[:=]\s{0,3}[\"'\\]{0,3})"
    r"[^\r\n\"'\\]+",
    _LETTERS,
)
_ASSIGNED = re.compile(
    r"((?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|token)"
    r"[\w-]{0,20}[\"'\\]{0,3}\s{0,3}[:=]\s{0,3}[\"'\\]{0,3})([^\s\"'\\,;&}\])]{3,})",
    _LETTERS,
)
_LOGIN = re.compile(r"(?<=://)[^\s/:@\"']{0,64}:[^\s/@\"']{1,256}(?=@)")
_CARD = re.compile(r"(?<![\w.])[2-6](?:[ -]?[0-9]){13,15}(?![\w.]?[0-9])")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CARDLIKE = re.compile(rb"[2-6](?:[ -]?[0-9]){13}")
EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


def may_contain_secret(text: str) -> bool:
    """Whether a text may hold a secret. Errs to that side only."""
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
    if digits or _EQUALS in significant:
        low = _lower(text, raw)
        if "bearer" in low or "basic" in low:
            return True
    # Each token has one of these beside its long run; the digits are those of `ya29.`.
    return (
        _HYPHEN in significant
        or _LINE in significant
        or _A in significant
        or _J in significant
        or (_TWO in significant and _NINE in significant)
    ) and _has_token(text, raw)


def _lower(text: str, raw: bytes) -> str:
    """The text with its ASCII letters small; ``str.lower`` is slow where other letters are."""
    return text.lower() if text.isascii() else raw.lower().decode("latin-1")


def _has_sign_and_word(text: str, raw: bytes, significant: bytes) -> bool:
    """Whether there is a sign together with a word of a secret."""
    if _COLON in significant or _EQUALS in significant:
        signs = significant.count(b":") + significant.count(b"=")
        if _is_assigned(_lower(text, raw), signs):
            return True
    if _AT in significant and "://" in text:
        return True
    return _HYPHEN in significant and "PRIVATE KEY" in text


def _is_cardlike(raw: bytes, digits: bytes) -> bool:
    return (
        len(digits.translate(None, _NO_DIGITS)) >= _CARD_DIGITS
        and _CARD_ZEROS in raw.translate(_ZEROS, b" -")
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
        if _TOKEN.search(text, max(0, at - _BEFORE), end + _BEHIND) is not None:
            return True
        at = runs.find(_RUN, end)
    return at >= 0 and _TOKEN.search(text, at) is not None


def _is_assigned(low: str, signs: int) -> bool:
    """Whether one of the words comes before a colon or an equals sign."""
    if signs > _SIGNS_MAX:
        return any(word in low for word in _WORDS)
    for sign in ":=":
        at = low.find(sign)
        while at >= 0:
            before = low[max(0, at - _REACH) : at]
            for word in _WORDS:
                if word in before:
                    return True
            at = low.find(sign, at + 1)
    return False


def mask_secrets(text: str) -> str:
    """The text with everything that matches a pattern of a secret masked."""
    if len(text) < SHORTEST_SECRET:
        return text
    text = _TOKEN.sub(MASK, text)
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


def _card(match: re.Match[str]) -> str:
    digits = [int(char) for char in match[0] if char.isdigit()]
    if len(digits) < _CARD_DIGITS or len(set(digits)) < 2:
        return match[0]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    if (sum(digits[::-2]) + sum(doubled)) % 10 != 0 or _in_uuid(match):
        return match[0]
    return MASK


def _in_uuid(match: re.Match[str]) -> bool:
    """Whether the digits are an id's: one in some ten thousand ids looks like a card."""
    start, end = match.span()
    uuids = _UUID.finditer(match.string, max(0, start - 36), end + 36)
    return any(uuid.start() <= start and end <= uuid.end() for uuid in uuids)
