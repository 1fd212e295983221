"""Text made safe for JSON: bounded, legal, and never raising; runs in the user's thread.

Invariant: the returned text has no lone surrogate and a bounded length, whatever
``__str__`` or a metaclass of the user's does.
"""

from __future__ import annotations

from sessiontrace.capture.encoding.static_access import qualified_name
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = [
    "SHORT_MAX",
    "cut",
    "kind_name",
    "name_of_object",
    "omitted",
    "sanitize_text",
    "text_of",
    "unprintable",
]

SHORT_MAX = 1_000
"""Characters of a text that names or describes a value."""

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


def text_of(value: object, longest: int = SHORT_MAX) -> str:
    """``str(value)`` made safe."""
    try:
        return sanitize_text(cut(str.__str__(str(value)), longest))
    except Exception as error:
        raise_if_from_signal(error)
        return unprintable(value, error)


def name_of_object(value: object) -> str:
    """``<module.Class object>``: the form of a value of which nothing else may be read."""
    return sanitize_text(cut(f"<{qualified_name(type(value))} object>", SHORT_MAX))


def unprintable(value: object, error: BaseException) -> str:
    """The text that replaces a value that cannot be read."""
    return f"<unprintable {kind_name(type(value))}: {kind_name(type(error))}>"


def kind_name(kind: type) -> str:
    """``kind.__name__``, bounded, whatever its metaclass says."""
    return sanitize_text(str(_type_name(kind))[:80])
