"""What full-text search reads of a record, and the words that it looks for.

Pure functions, no thread owns them. Invariant: every store indexes the same text of a record, so
that a search finds the same sessions in each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sessiontrace.store.judging.entries import texts_of_entries
from sessiontrace.store.summary_fields import scores_nano

__all__ = ["text_of", "words_of"]

_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 16
_MOST_CHARS = 64 << 10
_MOST_DEPTH = 12
_FIELDS = ("error", "user_properties", "feedback", "metadata", "config", "inputs", "outputs")


def words_of(text: str) -> list[str]:
    """The words of a search, at most 16."""
    return _WORD.findall(text)[:_MOST_WORDS]


def text_of(name: str | None, record: dict[str, Any], judgements: Any = None) -> str:
    """Name, error, names of scores, what reviewers wrote, and the values of the record's objects.

    Cut to 65 536 characters; inputs and outputs, which may be long, come last. ``judgements``: the
    entries of its late updates.
    """
    texts = [name or "", *scores_nano(record), *texts_of_entries(judgements)]
    for field in _FIELDS:
        _gather((record.get(field),), _MOST_DEPTH, texts)
    return " ".join(texts)[:_MOST_CHARS]


def _gather(values: Iterable[Any], depth: int, texts: list[str]) -> None:
    """Append the texts and numbers among ``values``, and within them ``depth`` levels down."""
    for value in values:
        if isinstance(value, str):
            texts.append(value[:_MOST_CHARS])
        elif isinstance(value, dict):
            if depth:
                _gather(value.values(), depth - 1, texts)
        elif isinstance(value, list):
            if depth:
                _gather(value, depth - 1, texts)
        elif isinstance(value, (int, float)):
            texts.append(str(value))
