"""The local destination's exporter: one request a batch, and what the store's replies mean.

No I/O, no clock, no thread. Invariant: a batch is one request that carries all its records, because
the store writes them in one transaction, in any order and more than once.
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
    Rejected,
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

    limits: Limits = Limits(max_records=1000, max_bytes=4_000_000, max_age_s=0.25, concurrency=1)

    def encode(self, batch: Batch) -> list[list[Request]]:
        """One stage with one request; the transport gets the records themselves."""
        return [[Request("WRITE", "", b"", tuple(range(len(batch.records))))]]

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """Delivered; busy: Retry; illegal content: Invalid; an unusable store: Blocked.

        Records that the store cannot hold are Rejected: a rule about the records, as deep ones are.
        """
        if reply.status == TAKEN:
            refused = orjson.loads(reply.body) if reply.body else {}
            reasons = {request.records[int(at)]: why for at, why in refused.items()}
            if reasons and len(reasons) == len(request.records):
                return Rejected(reasons)
            return Delivered(reasons)
        reason = reply.body.decode(errors="replace")
        if reply.status == BUSY:
            return Retry(reason)
        if reply.status == REFUSED:
            return Invalid(reason)
        return Blocked(reason)
