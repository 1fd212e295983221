"""The part of a 200 that says what an OTLP backend left out.

Pure, in the sender's thread. Invariant: a reply that cannot be read rejected nothing.
"""

from __future__ import annotations

import orjson

from sessiontrace.vendors.shared import responses
from sessiontrace.wire.otlp_partial_success import read_partial_success

__all__ = ["rejected"]


def rejected(body: bytes, name: str, *, protobuf: bool) -> tuple[int, str]:
    """How many items were rejected, and why. ``name``: of the count in JSON."""
    if not body:
        return 0, ""
    if protobuf and not body.startswith(b"{"):  # some backends answer in JSON
        count, words = read_partial_success(body)
        return count, responses.printable(words)
    try:
        partial = orjson.loads(body).get("partialSuccess") or {}
        words = responses.printable(str(partial.get("errorMessage", "")))
        return int(partial.get(name, 0)), words
    except (ValueError, TypeError, AttributeError):  # not even JSON: a 2xx all the same
        return 0, ""
