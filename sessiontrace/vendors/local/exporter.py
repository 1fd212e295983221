"""The local destination's pure half: what to write, and what the store's answer means.

No I/O, no clock, no thread of its own. Invariant: a batch is one request that carries every record
of it, because the store takes them in one transaction, in any order and more than once.
"""

from __future__ import annotations

import orjson

from sessiontrace.export.protocol import (
    Batch,
    Blocked,
    Delivered,
    Invalid,
    Limits,
    Outcome,
    Reply,
    Request,
    Retry,
)

__all__ = ["BUSY", "REFUSED", "TAKEN", "UNUSABLE", "LocalExporter"]

TAKEN = 200
REFUSED = 400
BUSY = 503
UNUSABLE = 507


class LocalExporter:
    """Exporter for the embedded store; stateless."""

    limits = Limits(max_records=1000, max_bytes=4_000_000, max_age_s=0.25, concurrency=1)

    def encode(self, batch: Batch) -> list[list[Request]]:
        """One stage with one request; the records themselves travel beside it."""
        return [[Request("WRITE", "", b"", tuple(range(len(batch.records))))]]

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """Taken, busy (Retry), no legal content (Invalid) or a store to be mended (Blocked)."""
        if reply.status == TAKEN:
            refused = orjson.loads(reply.body) if reply.body else {}
            return Delivered({request.records[int(at)]: why for at, why in refused.items()})
        reason = reply.body.decode(errors="replace")
        if reply.status == BUSY:
            return Retry(reason)
        if reply.status == REFUSED:
            return Invalid(reason)
        return Blocked(reason)
