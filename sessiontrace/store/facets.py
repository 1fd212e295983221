"""Facets: the texts by which a filter finds a session, such as ``model=gpt-5`` or ``tag=vip``.

Pure functions, no thread owns them. A session has the facets of its own record and of its steps.
Invariant: facets only add up, so records may arrive twice and in any order; a value that an update
replaced still finds the session. A session keeps at most 300 facets, and 25 of one key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from sessiontrace.store.facet_lines import add_lines, lines_of

__all__ = ["MODEL", "Facets", "facets_of", "key_of", "split", "tags_in", "tallied"]

MODEL = "model"


def facets_of(kind: bytes, event: dict[str, Any]) -> list[str]:
    """The facets of a record, each ``key=value`` in lower case."""
    return [line[1:-1] for line in lines_of(kind, event)]


class Facets:
    """The facets of one session, to which records add theirs."""

    __slots__ = ("_counts", "_lines", "_text")

    def __init__(self, text: str = "") -> None:
        self._text: str | None = text
        self._lines: dict[str, None] = {}
        self._counts: dict[str, int] = {}  # of lines, by key

    def add(self, kind: bytes, event: dict[str, Any]) -> None:
        """Add those of a record."""
        lines, counts = self.open()
        add_lines(lines_of(kind, event), lines, counts)

    def open(self) -> tuple[dict[str, None], dict[str, int]]:
        """Lines and their counts by key, for ``add_lines`` until the text is read."""
        if self._text and not self._lines:
            stored = [f"\n{facet}\n" for facet in split(self._text)]
            add_lines(stored, self._lines, self._counts)
        self._text = None
        return self._lines, self._counts

    def replace(self, keys: Collection[str], facets: Iterable[str]) -> None:
        """Put ``facets`` in the place of all those with these keys, beyond any limit."""
        others = [facet for facet in split(str(self)) if facet.partition("=")[0] not in keys]
        lines = [f"\n{facet}\n" for facet in (*facets, *others)]
        self._text, self._lines = None, dict.fromkeys(lines)
        self._counts = dict(Counter(line[: line.index("=")] for line in lines))

    def __str__(self) -> str:
        """All of them as lines, with a line break before and after each."""
        if self._text is None:
            lines = "".join([line[1:] for line in self._lines])
            self._text = f"\n{lines}" if lines else ""
        return self._text


def split(text: str) -> list[str]:
    """The facets in the text of ``Facets``."""
    return text[1:-1].split("\n") if text else []


def tags_in(text: str) -> str:
    """The tags among the facets in a text, one a line, in order; empty without any."""
    if "\ntag=" not in text:
        return ""
    return "\n".join(sorted(line[4:] for line in split(text) if line.startswith("tag=")))


def key_of(field: str, name: str) -> str:
    """The key of the facets that a filter looks at: ``metadata.plan``, ``tag``."""
    return f"{field}.{name}" if name else field


def tallied(facets: Iterable[Iterable[str]]) -> dict[str, Counter[str]]:
    """How many sessions have each value, by key; ``facets`` of one session after the other."""
    counts: dict[str, Counter[str]] = {}
    for lines in facets:
        for line in lines:
            key, _, value = line.partition("=")
            counts.setdefault(key, Counter())[value] += 1
    return counts
