"""The form of ``describing`` in Python, which is the specification; see ``describing``."""

from __future__ import annotations

from collections.abc import Iterable

from sessiontrace.model.record import Record
from sessiontrace.store.folding import DecodedRecord

__all__ = ["describing"]


def describing(records: Iterable[Record | DecodedRecord]) -> list[int]:
    """The indexes of the records that name a hash, as each description of a medium does."""
    return [
        index
        for index, record in enumerate(records)
        if (
            b'"sha256' in record.body
            if isinstance(record.body, bytes)
            else '"sha256' in record.body
        )
    ]
