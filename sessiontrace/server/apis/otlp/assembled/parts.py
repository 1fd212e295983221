"""What spans say of their session: its name, source, user and error, and which session it is.

Pure, no thread owns it. Invariant: of all spans that say something about a field, the same one
counts, whatever the order in which they arrive and the requests that bring them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sessiontrace.store.gathered import NAME, SOURCE, USER, first_part, part_key

__all__ = ["Order", "Parts", "offer_step"]

Order = tuple[int, int, str]
"""Rank, Unix ns, and a text that breaks ties."""


class Parts:
    """The first part of each field among those that were offered."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[Order, Any]] = {}

    def offer(self, field: str, order: Order, value: Any) -> None:
        """Keep ``value`` if it goes first."""
        first = self._first.get(field)
        if first is None or order < first[0]:
            self._first[field] = (order, value)

    def items(self) -> Iterator[tuple[str, Order, Any]]:
        """Field, order and value of each part."""
        for field, (order, value) in self._first.items():
            yield field, order, value

    def add(self, parts: Parts, without: str = "") -> None:
        """Offer all parts of another, but for one field."""
        for field, order, value in parts.items():
            if field != without:
                self.offer(field, order, value)

    def improvements(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Those parts, by key, that go before what is stored of their field."""
        fresh: dict[str, Any] = {}
        for field, (order, value) in self._first.items():
            key = part_key(field, *order)
            if stored.get(key) is not None:  # it, or one before it, is the first of its field
                continue
            first = first_part(stored, field) if stored else None
            if first is None or key < first[0]:
                fresh[key] = value
        return fresh


def offer_step(parts: Parts, fields: Mapping[str, Any], tie: str) -> None:
    """What an event says of its session; the root of a trace counts before its other steps.

    ``tie``: decides between steps of the same start; no two steps of a session have the same.
    """
    rank = 0 if fields.get("parent_id") == fields["session_id"] else 1
    at = fields["start_time"] * 1_000_000 + (fields.get("start_nanos") or 0)
    parts.offer(NAME, (1 + rank, at, tie), fields["event_name"])
    source = fields.get("source")
    if source and not source.startswith("unknown_service"):
        parts.offer(SOURCE, (rank, 0, source), source)
    user = (fields.get("user_properties") or {}).get("user_id")
    if isinstance(user, (str, int)) and user != "":
        parts.offer(USER, (rank, 0, str(user)), user)
