"""A text within a budget: lines are added while there is room for them.

A token is estimated as four bytes of UTF-8, which is about right for English and for JSON. No
thread owns a page. Invariant: a page is never larger than its budget, and the room for the note at
its end is reserved from the start.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

__all__ = ["BUDGET_MAX", "BUDGET_MIN", "DEFAULT_BUDGET", "Page", "budget_of", "size_of"]

_TOKEN_BYTES = 4
BUDGET_MIN = 500
"""The fewest tokens of an output."""

BUDGET_MAX = 100_000
"""The most tokens of an output."""

DEFAULT_BUDGET = 4_000
"""The tokens of an output where the caller does not say."""

_BUDGET = re.compile(r"([0-9]{1,9})(k?)\s*(c|chars?|characters?|t|tokens?)?", re.IGNORECASE)


def budget_of(text: str) -> int:
    """The tokens that ``8000``, ``8k``, ``8000 tokens`` or ``32000c`` (characters) mean.

    Raises ``ValueError`` for another text, and for a budget out of bounds.
    """
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise ValueError("must be tokens, as in 4000 or 8k, or characters, as in 16000c")
    tokens = int(match[1]) * (1000 if match[2] else 1)
    if (match[3] or "").lower().startswith("c"):
        tokens //= _TOKEN_BYTES
    if not BUDGET_MIN <= tokens <= BUDGET_MAX:
        raise ValueError(
            f"must be between {BUDGET_MIN} and {BUDGET_MAX:,} tokens, or between "
            f"{BUDGET_MIN * _TOKEN_BYTES:,} and {BUDGET_MAX * _TOKEN_BYTES:,} characters"
        )
    return tokens


def size_of(lines: Sequence[str]) -> int:
    """Bytes of the lines, with their line breaks."""
    return sum(len(line.encode(errors="replace")) + 1 for line in lines)


@attrs.define
class Page:
    """Lines within ``tokens``; ``room`` is how many bytes are left for more of them.

    ``reserve``: bytes that only ``finish`` may use.
    """

    tokens: int
    reserve: int = 600
    lines: list[str] = attrs.field(factory=list)
    room: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.room = self.tokens * _TOKEN_BYTES - self.reserve

    def add(self, *lines: str) -> bool:
        """Add all of the lines, or none where they do not fit; whether they did."""
        size = size_of(lines)
        if size > self.room:
            return False
        self.room -= size
        self.lines.extend(lines)
        return True

    def finish(self, *notes: str) -> str:
        """The whole text, with the notes at its end as far as they fit into the reserve."""
        self.room += self.reserve
        for note in notes:
            self.add(note)
        return "\n".join(self.lines) + "\n"
