"""A vendor's API as a real aiohttp server in the test's own loop.

async with Api() as api:
    api.answer("POST", "/v1/sessions", {...})       # in turn; the last one repeats
    ...
    api.seen[0].json
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import attrs
from aiohttp import web
from support.published_contracts import Check

if TYPE_CHECKING:
    from typing_extensions import Self


@attrs.frozen
class Seen:
    """One request as it arrived; ``path`` with its query as sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.define
class _Answer:
    status: int
    body: Any
    headers: dict[str, str]
    after: float


class Api:
    """``check``, where given, must allow every request."""

    def __init__(self, check: Check | None = None, prefix: str = "") -> None:
        self.seen: list[Seen] = []
        self.peers: set[Any] = set()
        self._check = check
        self._prefix = prefix
        self._answers: dict[tuple[str, str], list[_Answer | Callable[[Seen], Any]]] = defaultdict(
            list
        )

    def answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
        after: float = 0.0,
    ) -> None:
        """What the next request to this path is told; bytes go out as they are."""
        self._answers[method, path].append(_Answer(status, body, headers or {}, after))

    def respond(self, method: str, path: str, by: Callable[[Seen], Any]) -> None:
        """Requests to this path are answered with the JSON that ``by`` makes of them."""
        self._answers[method, path].append(by)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}{self._prefix}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix(self._prefix)
        seen = Seen(
            request.method,
            path,
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        self.seen.append(seen)
        self.peers.add(request.transport and request.transport.get_extra_info("peername"))
        if self._check is not None:
            try:
                self._check(seen.method, seen.path, seen.body or None)
            except Exception as error:
                reason = f"{type(error).__name__}: {error} {error.__cause__}"
                return web.json_response({"message": reason}, status=418)
        answers = self._answers[seen.method, path.partition("?")[0]]
        if not answers:
            return web.json_response({"message": "Endpoint not found."}, status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if not isinstance(answer, _Answer):
            return web.json_response(answer(seen))
        await asyncio.sleep(answer.after)
        if isinstance(answer.body, bytes):
            return web.Response(body=answer.body, status=answer.status, headers=answer.headers)
        if answer.body is None:
            return web.Response(status=answer.status, headers=answer.headers)
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)
