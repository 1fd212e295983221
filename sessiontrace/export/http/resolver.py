"""Names to addresses, in threads of their own and without an executor; used in the sender's loop.

asyncio looks names up in an executor, which is gone when ``atexit`` callbacks run, and whose
threads the interpreter waits for at exit however long a name server takes. Invariant: a lookup here
works until the process ends, and a lookup that hangs delays nothing else.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from sessiontrace.runtime.threadsafe_future import ThreadsafeFuture

__all__ = ["Address", "Addresses"]

Address = tuple[int, int, str, int]
"""Family, protocol, numeric host and port, as a socket takes them."""

_TTL_S = 30.0


class Addresses:
    """Resolves and remembers for 30 s; what cannot be resolved now keeps its last addresses.

    At the exit of the interpreter, when no thread can be started any more, the lookup runs in the
    sender's own thread.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._cache: dict[tuple[str, int, int], tuple[float, list[Address]]] = {}

    async def resolve(self, host: str, port: int, family: int = 0) -> list[Address]:
        """The addresses of ``host``; raises ``OSError`` when there are none and never were."""
        key = host, port, family
        expires, cached = self._cache.get(key, (0.0, []))
        if self._now() < expires:
            return cached
        try:
            addresses = await _look_up(host, port, family)
        except OSError:
            if not cached:
                raise
            return cached
        self._cache[key] = self._now() + _TTL_S, addresses
        return addresses


async def _look_up(host: str, port: int, family: int) -> list[Address]:
    addresses = ThreadsafeFuture[list[Address]]()

    def look_up() -> None:
        try:
            addresses.set_result(_get_addresses(host, port, family))
        except OSError as error:
            addresses.set_exception(error)
        except Exception as error:  # a name that cannot even be encoded
            kind = type(error).__name__
            addresses.set_exception(OSError(f"{host} is not a host name ({kind})"))

    try:
        threading.Thread(target=look_up, name="sessiontrace-dns", daemon=True).start()
    except RuntimeError:
        return _get_addresses(host, port, family)
    return await addresses


def _get_addresses(host: str, port: int, family: int) -> list[Address]:
    infos: list[Any] = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return [(int(info[0]), info[2], str(info[4][0]), int(info[4][1])) for info in infos]
