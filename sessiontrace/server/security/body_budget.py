"""Reading bodies, and the memory for those of requests whose sender is not known yet.

Runs on the server's loop. PostHog's clients show their key within the body, and a browser logs in
with one, so the server reads these bodies before it can check them. Invariant: the bodies that are
read at one time without a checked key hold at most ``most`` bytes, unpacked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from sessiontrace.server.security.body_decoder import BodyDecoder

__all__ = ["BodyBudget", "BudgetExceededError", "unpacked"]


class BudgetExceededError(Exception):
    """Bodies of unknown senders hold all the memory that they may."""


class BodyBudget:
    """Bytes that unchecked bodies may hold, all together."""

    def __init__(self, most: int = 32 << 20) -> None:
        self._most = most
        self.used: int = 0

    async def read(self, request: web.Request, most: int) -> bytes:
        """The body, which counts while it arrives.

        Raises ``BudgetExceededError`` where the budget is used up, and what ``unpacked`` raises.
        """
        body = bytearray()
        try:
            async for part in unpacked(request, most):
                if self.used + len(part) > self._most:
                    raise BudgetExceededError
                self.used += len(part)
                body += part
        finally:
            self.used -= len(body)
        return bytes(body)


async def unpacked(request: web.Request, most: int) -> AsyncIterator[bytes]:
    """The parts of a body as they arrive, unpacked.

    Raises aiohttp's error for a body of more than ``most`` bytes, ``EncodingNotSupportedError``,
    and the decompressor's error for a body that is not of its encoding.
    """
    decoder = BodyDecoder(request.headers.get("Content-Encoding", ""))
    size = 0
    async for chunk in request.content.iter_any():
        part = decoder.decode(chunk, most - size + 1)
        size += len(part)
        if size > most:
            raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=size)
        yield part
    decoder.check_end()
