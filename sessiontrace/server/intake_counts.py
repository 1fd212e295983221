"""What the server took over OTLP since it started, and what of it is in no session, by reason.

Used on the server's loop. Invariant: everything that a request brought is either counted as stored
with its signal, or under a reason.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["IntakeCounts"]


class IntakeCounts:
    """Counts of one server process; ``stored`` by signal, ``not_stored`` by reason."""

    def __init__(self) -> None:
        self.stored: Counter[str] = Counter()
        self.not_stored: Counter[str] = Counter()

    def as_json(self) -> dict[str, Any]:
        """The counts as ``/api/about`` shows them."""
        return {"stored": dict(self.stored), "not_stored": dict(self.not_stored)}
