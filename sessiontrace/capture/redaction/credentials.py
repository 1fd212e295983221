"""Whether a text looks like a credential; pure, called from any thread.

For values whose key leaves it open. Invariant: linear in the first ``_LONGEST`` characters.
"""

from __future__ import annotations

import re

from sessiontrace.model.lazy_pattern import lazy_pattern

LEAST = 7
"""Characters of the shortest credential that is recognised by its letters."""

_LONGEST = 8_192
_LETTERS = lazy_pattern(r"[A-Za-z0-9_\-.~+/=!@#$%^&*:?,;|]+", re.ASCII)
_WORD = lazy_pattern(r"[A-Za-z][a-z]*(?:[_\-. ][A-Za-z][a-z]*){0,8}")
_PLAIN = lazy_pattern(
    r"v?\d+(?:\.\d+)+\S{0,8}"  # a version
    r"|\d{4}-\d\d-\d\d\S{0,24}"  # a date
    r"|[a-z]{2,10}[-_.]?\d{1,2}"  # sha256, oauth2, gpt-4: a name with a number
    r"|[a-z]{2,8}[-_]\d{1,2}(?:[-_.][a-z0-9]{1,8}){1,3}"
    r"|https?://\S{0,500}"
    r"|(?:\.{0,2}/)[\w./-]{1,200}",
    re.ASCII | re.IGNORECASE,
)
_NUMBERED_NAMES = lazy_pattern(
    r"(?:oauth|sha|md|utf|base|http|python|ipv|layer|token|word|key)[-_]?\d{1,3}"
)
_REFERENCE = lazy_pattern(
    r"(?:(?:bearer|basic|token)\s{1,3})?(?:\$\{?[A-Za-z_][\w.:-]{0,80}\}?|\$?\{\{?[^{}]{0,80}\}?\}|<[^<>]{1,80}>|%\([\w.]{1,40}\)s|%\w{1,40}%"
    r"|%s|\$\([^)]{0,80}\)?|\[[A-Za-z _-]{1,40}\]|[*x.…•-]{1,80})",
    re.ASCII | re.IGNORECASE,
)


def is_reference(text: str) -> bool:
    """Whether a text is a placeholder, such as ``${DB_PASSWORD}``, or masked already."""
    return not text or _REFERENCE.fullmatch(text) is not None


def looks_generated(text: str, least: int = LEAST) -> bool:
    """Whether a text has the letters of a password or key: no word, number, date, path or name."""
    text = text[:_LONGEST]
    if len(text) < least or _LETTERS.fullmatch(text) is None or is_reference(text):
        return False
    digits = sum(map(str.isdigit, text))
    letters = sum(map(str.isalpha, text))
    if digits and letters:
        return _NUMBERED_NAMES.fullmatch(text.lower()) is None and not (
            len(text) > LEAST + 1 and _PLAIN.fullmatch(text) and "-" not in text[:2]
        )
    if digits:
        return False
    capitals = sum(map(str.isupper, text))
    return len(text) >= 20 and capitals >= 4 and letters - capitals >= 4 and "_" not in text


def is_words(text: str) -> bool:
    """Whether a text is a word, or a few: a name rather than a credential."""
    return _WORD.fullmatch(text) is not None
