"""The memory for bodies of requests whose sender is not known yet.

Runs on the server's loop. PostHog's clients show their key within the body, and a browser logs in
with one, so the server reads these bodies before it can check them. Invariant: the bodies that are
read at one time without a checked key hold at most ``most`` bytes.
"""

from __future__ import annotations

from aiohttp import web

__all__ = ["BodyBudget", "BudgetExceededError"]


class BudgetExceededError(Exception):
    """Bodies of unknown senders hold all the memory that they may."""


class BodyBudget:
    """Bytes that unchecked bodies may hold, all together."""

    def __init__(self, most: int = 32 << 20) -> None:
        self._most = most
        self.used = 0

    async def read(self, request: web.Request, most: int) -> bytes:
        """The body, which counts while it arrives.

        Raises ``BudgetExceededError`` where the budget is used up, and aiohttp's error for a body
        of more than ``most`` bytes.
        """
        body = bytearray()
        try:
            async for chunk in request.content.iter_any():
                if len(body) + len(chunk) > most:
                    raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=len(body))
                if self.used + len(chunk) > self._most:
                    raise BudgetExceededError
                self.used += len(chunk)
                body += chunk
        finally:
            self.used -= len(body)
        return bytes(body)
