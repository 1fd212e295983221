"""What a pure exporter cannot do: stamp an attempt's time, and answer what no backend is asked.

Runs on the sender's loop, around the lane's own transport. Invariant: a request of method ``NONE``
never reaches the network, and every other one is sent once for each call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from sessiontrace.export.verdict import Reply, Request, Transport
from sessiontrace.record import Record

__all__ = ["NONE", "Finishing"]

NONE = "NONE"
"""Method of a request that speaks of records a backend cannot take: its path is the reason."""


class Finishing:
    """A transport around ``inner``; ``stamp`` completes a body at the moment it is sent."""

    def __init__(self, inner: Transport, stamp: Callable[[bytes], bytes] | None = None) -> None:
        self._inner = inner
        self._stamp = stamp

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        """The backend's reply, or an empty 200 to what is not for it."""
        if request.method == NONE:
            return Reply(200)
        if self._stamp is not None:
            request = attrs.evolve(request, body=self._stamp(request.body))
        return await self._inner.send(request, records)

    async def close(self) -> None:
        """Close what is inside."""
        await self._inner.close()
