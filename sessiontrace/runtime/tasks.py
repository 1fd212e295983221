"""Tasks that run at the same time in one event loop, and their end.

asyncio's own groups of tasks are newer than our oldest Python, and anyio's need 1.5 MiB. Invariant:
what was started here has ended before its function returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

__all__ = ["end", "together"]

_AGAIN_S = 0.05  # after it, what is still running is cancelled once more


async def together(coroutines: Iterable[Coroutine[Any, Any, None]], at_once: int) -> None:
    """Run all of them, begun ``at_once`` at a time; when one fails, end the others and raise."""
    tasks: list[asyncio.Future[None]] = []
    try:
        for number, coroutine in enumerate(coroutines, 1):
            tasks.append(asyncio.ensure_future(coroutine))
            if number % at_once == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    except BaseException:
        await end(tasks)
        raise


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel these tasks until they have ended, however they end."""
    tasks = list(tasks)
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # else the loop reports it as never retrieved
