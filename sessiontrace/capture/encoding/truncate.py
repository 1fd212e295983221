"""Truncating the objects of a record that is too large: the largest share the room equally; pure.

Runs in whichever thread encodes the record. Invariant: what fits its share is left as it is, so
truncating a truncated record changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.capture.encoding.encoder import truncate_to

__all__ = ["truncate_largest"]


def truncate_largest(
    fields: Mapping[str, Any], sizes: Mapping[str, int], room: int
) -> dict[str, bytes]:
    """The encoded forms of those ``fields`` that must be cut so that all fit into ``room`` bytes.

    ``sizes``: the encoded size of each field that may be cut. A field below an equal share of the
    room stays whole; the others divide what such fields leave.
    """
    fair = max(0, room) // max(1, len(sizes))
    large = [name for name, size in sizes.items() if size > fair]
    small = sum(size for size in sizes.values() if size <= fair)
    return {name: truncate_to(fields[name], max(0, room - small) // len(large)) for name in large}
