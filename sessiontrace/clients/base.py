"""The base of the typed clients: a checked key and address, one transport, a clean end.

Runs in the user's event loop. Invariant: a client has an address and a key that can work; its
constructor refuses others, with all faults at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sessiontrace.clients.http import Rest
from sessiontrace.model.destination import HttpDestination
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.later_types import SELF

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = SELF

__all__ = ["Client"]


class Client:
    """A client of one vendor's API, to be used with ``async with``, in any asyncio loop."""

    def __init__(
        self,
        place: HttpDestination,
        *,
        base_url: str = "",
        faults: Sequence[str] = (),
        **options: Any,
    ) -> None:
        """``place``: the complete destination; ``options``: those of ``Rest``.

        ``base_url`` replaces the destination's. Raises ``ConfigError`` with the destination's
        faults and the ``faults`` argument.
        """
        if all_faults := [*place.faults(), *faults]:
            raise ConfigError(all_faults)
        assert place.api_key is not None
        self._rest = Rest(base_url or place.base_url, place.api_key, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._rest.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._rest.close()
