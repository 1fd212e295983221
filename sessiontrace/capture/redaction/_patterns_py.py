"""The patterns of secrets in texts, and the Python form of ``may_contain_secret``.

Pure, called from any thread; see ``patterns``. ``may_contain_secret`` is asked of every new text
and costs a few searches through it; ``mask_secrets`` decides. Invariant: ``may_contain_secret`` is
true of every text that ``mask_secrets`` would change.
"""

from __future__ import annotations

import re

MASK = "***"

LEAST = 8
"""Characters; a shorter text has no shape."""

# What a text is made of that nothing below begins with or needs: few bytes are left of prose.
_TELLING = b"0123456789:=@-_AJ"
_COLON, _EQUALS, _AT, _HYPHEN, _LINE, _A, _J = b":=@-_AJ"
_TWO, _NINE = b"29"
_DULL = bytes(byte for byte in range(256) if byte not in _TELLING)
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte < 58)
_CARD_DIGITS = 14
_ZEROS = bytes(48 if 48 <= byte < 58 else 46 for byte in range(256))  # digits alike, the rest too
_CARD_ZEROS = b"0" * _CARD_DIGITS
# What tokens are made of as `a`, all else as a space.
_WORDLIKE = b"-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RUNS = bytes(97 if byte in _WORDLIKE else 32 for byte in range(256))
_RUN = b"a" * 14  # the shortest stretch that any of the shapes below has
_BEFORE, _BEHIND = 5, 9  # characters of a shape outside of it: `ya29.`, the second part of eyJ
_STRETCHES_MAX = 8  # of which each is looked at by itself
# A part of each word of _ASSIGNED and _HEADER, and how far before the sign it may begin.
_WORDS = ("pass", "pwd", "secret", "key", "token", "cookie", "authorization")
_REACH = 40
_SIGNS_MAX = 8  # of which each is looked at by itself

_LETTERS = (
    re.IGNORECASE | re.ASCII
)  # else a long s is an s, and `may_contain_secret` must know of it

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
    """Whether a text is worth a closer look. Errs to that side only."""
    # To search a `str` costs half of what it costs in `bytes`, but those can be thinned out.
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return True
    if not text.isascii():  # a character for each byte: wider ones are slow, and none is a sign
        text = raw.decode("latin-1")
    if text[:1] in "{[":  # JSON, perhaps
        return True
    telling = raw.translate(None, _DULL)
    if not telling:
        return False
    digits = telling
    if not telling.isdigit():
        if _has_telling_signs(text, raw, telling):
            return True
        digits = telling.strip(_NO_DIGITS)
    if len(digits) >= _CARD_DIGITS and _is_cardlike(raw, digits):
        return True
    if digits or _EQUALS in telling:
        low = _lower(text, raw)
        if "bearer" in low or "basic" in low:
            return True
    # Each of the shapes has one of these, beside its long stretch; the digits are those of `ya29.`.
    return (
        _HYPHEN in telling
        or _LINE in telling
        or _A in telling
        or _J in telling
        or (_TWO in telling and _NINE in telling)
    ) and _is_shaped(text, raw)


def _lower(text: str, raw: bytes) -> str:
    """The text with its ASCII letters small; ``str`` asks for each letter where others are."""
    return text.lower() if text.isascii() else raw.lower().decode("latin-1")


def _has_telling_signs(text: str, raw: bytes, telling: bytes) -> bool:
    """Whether there is a sign together with a word that makes it worth a closer look."""
    if _COLON in telling or _EQUALS in telling:
        signs = telling.count(b":") + telling.count(b"=")
        if _is_assigned(_lower(text, raw), signs):
            return True
    if _AT in telling and "://" in text:
        return True
    return _HYPHEN in telling and "PRIVATE KEY" in text


def _is_cardlike(raw: bytes, digits: bytes) -> bool:
    return (
        len(digits.translate(None, _NO_DIGITS)) >= _CARD_DIGITS
        and _CARD_ZEROS in raw.translate(_ZEROS, b" -")
        and _CARDLIKE.search(raw) is not None
    )


def _is_shaped(text: str, raw: bytes) -> bool:
    """Whether there is one of the shapes; it is looked for where there are long stretches only."""
    runs = raw.translate(_RUNS)
    at = runs.find(_RUN)
    for _ in range(_STRETCHES_MAX):
        if at < 0:
            return False
        end = runs.find(b" ", at)
        if end < 0:
            end = len(runs)
        if _SHAPES.search(text, max(0, at - _BEFORE), end + _BEHIND) is not None:
            return True
        at = runs.find(_RUN, end)
    return at >= 0 and _SHAPES.search(text, at) is not None


def _is_assigned(low: str, signs: int) -> bool:
    """Whether one of the telling words stands before a colon or an equals sign."""
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
    """The text with everything shaped like a secret masked."""
    if len(text) < LEAST:
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
    if len(digits) < _CARD_DIGITS or len(set(digits)) < 2:
        return found[0]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    if (sum(digits[::-2]) + sum(doubled)) % 10 != 0 or _in_uuid(found):
        return found[0]
    return MASK


def _in_uuid(found: re.Match[str]) -> bool:
    """Whether the digits are an id's: one in some ten thousand ids looks like a card."""
    start, end = found.span()
    around = _UUID.finditer(found.string, max(0, start - 36), end + 36)
    return any(one.start() <= start and end <= one.end() for one in around)
