"""The events that all benchmarks make: a chat of a set size as inputs, a short answer.

Pure values. Two ways to fill them. *Repeated*: the same texts at every call, as with a fixed
prompt; what remembers texts it has seen profits. *Fresh*: texts that no call has had before.
Invariant: both have the same length, to a few bytes.
"""

from __future__ import annotations

import itertools

__all__ = ["ANSWER", "SIZES", "Messages", "fresh", "messages", "repeated"]

Messages = list[dict[str, str]]

SIZES = {"0.8 kB": 360, "10 kB": 4_900, "1 MB": 500_000}
"""Characters in each of the two messages, by the size of the inputs they make."""

ANSWER = {"answer": "Below the lighthouse."}

_ASKED = "Where is the old harbour, and what is there to see? "
_TOLD = "It lies at the western end of the town, below the. "
_count = itertools.count()


def _text(words: str, length: int) -> str:
    return (words * (length // len(words) + 1))[:length]


def messages(size: str = "0.8 kB", number: int | None = None) -> Messages:
    """A question and an answer; a ``number`` makes both texts differ from all others'."""
    length = SIZES[size]
    asked, told = _text(_ASKED, length - 12), _text(_TOLD, length - 12)
    mark = "in general. " if number is None else f"{number:010d}. "
    return [
        {"role": "user", "content": mark + asked},
        {"role": "assistant", "content": mark + told},
    ]


def repeated(count: int, size: str = "0.8 kB") -> list[Messages]:
    """The same messages so many times."""
    return [messages(size)] * count


def fresh(count: int, size: str = "0.8 kB") -> list[Messages]:
    """So many messages, none of which was made before in this process."""
    return [messages(size, next(_count)) for _ in range(count)]
