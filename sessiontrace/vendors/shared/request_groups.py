"""Encoded records in groups of one request each, and the body of such a group.

Pure functions, no thread owns them. Invariant: records keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sessiontrace.export.request_body import RequestBody

__all__ = ["chunks", "join_body"]


Numbered = TypeVar("Numbered", bound="tuple[Any, ...]")
"""The index of a record, its encoded bytes, and what else belongs to it."""


def chunks(items: Iterable[Numbered], most_items: int, most_bytes: int) -> Iterator[list[Numbered]]:
    """Numbered encodings in order, in groups within both bounds; a single one may exceed them."""
    group: list[Numbered] = []
    size = 0
    for item in items:
        if group and (len(group) >= most_items or size + len(item[1]) > most_bytes):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item[1]) + 1
    if group:
        yield group


def join_body(head: bytes, items: list[bytes], tail: bytes) -> RequestBody:
    """Encoded items, at least one, between ``head`` and ``tail`` with commas; takes the list."""
    items[0] = head + items[0]
    items[-1] += tail
    return RequestBody(items, b",")
