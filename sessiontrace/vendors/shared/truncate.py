"""Smaller forms of a record that a vendor refused, or would refuse, for its size.

Pure functions, no thread owns them. Invariant: ids, times, names and ``children_ids`` stay, and
what is cut carries a mark.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.capture.encoding.truncate import truncate_largest
from sessiontrace.model.fields import BUCKETS
from sessiontrace.model.record import Record

__all__ = ["replace_largest", "truncate_record"]


def truncate_record(record: Record, max_bytes: int) -> Record | None:
    """The record within ``max_bytes``, its largest objects cut; None when there is nothing to cut.

    The marks are those that capture writes into texts, lists and objects.
    """
    if len(record.body) <= max_bytes:
        return None
    event = orjson.loads(record.body)
    sizes = {name: size for name, size in _sizes(event).items() if event[name]}
    if not sizes:
        return None
    room = max_bytes - (len(record.body) - sum(sizes.values()))
    for name, encoded in truncate_largest(event, sizes, room).items():
        shorter = orjson.loads(encoded)
        event[name] = shorter if isinstance(shorter, dict) else {"result": shorter}
    return record._replace(body=orjson.dumps(event))


def replace_largest(record: Record, mark: str) -> Record | None:
    """The record with ``mark`` in place of its largest object; None when it has no object.

    ``{size}`` in the mark becomes the number of bytes that are gone.
    """
    event = orjson.loads(record.body)
    sizes = _sizes(event)
    if not sizes:
        return None
    largest = max(sizes, key=sizes.__getitem__)
    event[largest] = {"cut": mark.format(size=sizes[largest])}
    return record._replace(body=orjson.dumps(event))


def _sizes(event: dict[str, Any]) -> dict[str, int]:
    return {name: len(orjson.dumps(event[name])) for name in BUCKETS if name in event}
