"""Text made safe for JSON: bounded, legal, and never raising; runs in the user's thread.

Invariant: what these return has no lone surrogate and a known greatest length, whatever
``__str__``, ``__repr__`` or a metaclass of the user's does.
"""

from __future__ import annotations

import re

__all__ = ["cut", "kind_name", "more", "repr_of", "sanitize_text", "text_of", "unprintable"]

REPR_MAX = 1_000

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_type_name = type.__dict__["__name__"].__get__  # a metaclass may shadow the attribute


def cut(text: str, longest: int) -> str:
    """At most ``longest`` characters of ``text``, then a mark that tells what is gone."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… [cut: {len(text) - longest} of {len(text)} characters]"


def more(count: int, what: str) -> str:
    """The mark that stands for ``count`` items left out."""
    return f"… [cut: {count} more {what}]"


def sanitize_text(text: str) -> str:
    """Text that UTF-8 can carry: lone surrogates become their escapes."""
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
    """What stands for a value that fails when it is looked at."""
    return f"<unprintable {kind_name(type(value))}: {kind_name(type(error))}>"


def kind_name(kind: type) -> str:
    """``kind.__name__``, bounded, whatever its metaclass says."""
    return sanitize_text(str(_type_name(kind))[:80])
