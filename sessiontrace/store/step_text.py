"""What a reader sees of a step: the texts that a search within a session looks at.

Pure functions, no thread owns them. Invariant: every store finds the same steps for a text. Names
of fields, ids, times and types are the page's own words, and not what a step said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sessiontrace.model.fields import BUCKETS

__all__ = ["contains"]

_FIELDS = ("event_name", "error", *BUCKETS)


def contains(record: Mapping[str, Any], folded: str) -> bool:
    """Whether name, error or a value of the record contains a text that is casefolded."""
    return any(folded in text.casefold() for text in _texts(record.get(field) for field in _FIELDS))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """The texts and numbers among values, at any depth."""
    ahead = [iter(values)]
    while ahead:
        for value in ahead[-1]:
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict):
                ahead.append(iter(value.values()))
                break
            elif isinstance(value, list):
                ahead.append(iter(value))
                break
            elif value is not None:
                yield str(value).lower() if isinstance(value, bool) else str(value)
        else:
            ahead.pop()
