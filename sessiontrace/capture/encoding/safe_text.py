"""Text made safe for JSON: bounded, legal, and never raising; runs in the user's thread.

Invariant: the returned text has no lone surrogate and a bounded length, whatever
``__str__``, ``__repr__`` or a metaclass of the user's does.
"""

from __future__ import annotations

import re

__all__ = ["cut", "kind_name", "omitted", "repr_of", "sanitize_text", "text_of", "unprintable"]

REPR_MAX = 1_000

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_type_name = type.__dict__["__name__"].__get__  # a metaclass may shadow the attribute


def cut(text: str, longest: int) -> str:
    """At most ``longest`` characters of ``text``, then a mark that says how many are gone."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… [cut: {len(text) - longest} of {len(text)} characters]"


def omitted(count: int, what: str) -> str:
    """The mark that replaces ``count`` items left out."""
    return f"… [cut: {count} more {what}]"


def sanitize_text(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, replaced by their escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def text_of(value: object, longest: int = REPR_MAX) -> str:
    """``str(value)`` made safe."""
    try:
        return sanitize_text(cut(str.__str__(str(value)), longest))
    except Exception as error:
        return unprintable(value, error)


def repr_of(value: object) -> str:
    """``repr(value)`` made safe, without memory addresses, which differ from run to run."""
    kind = type(value)
    try:
        if kind.__repr__ is object.__repr__:
            return sanitize_text(cut(f"<{kind.__module__}.{kind.__qualname__} object>", REPR_MAX))
        return sanitize_text(cut(_ADDRESS.sub("", repr(value)[: REPR_MAX * 4]), REPR_MAX))
    except Exception as error:
        return unprintable(value, error)


def unprintable(value: object, error: BaseException) -> str:
    """The text that replaces a value whose ``str`` or ``repr`` fails."""
    return f"<unprintable {kind_name(type(value))}: {kind_name(type(error))}>"


def kind_name(kind: type) -> str:
    """``kind.__name__``, bounded, whatever its metaclass says."""
    return sanitize_text(str(_type_name(kind))[:80])
