"""A local model provider on a thread of its own, for clients that we did not write.

The model's name in the request says what happens, so that one server serves every scenario:
"ok" answers, "tools" asks for a tool, "status-429" fails, "flaky" fails once and then answers,
"never" does not answer, "sse-error" breaks a stream off with an error event, "cut" cuts the
connection in the middle of a stream, "stuck" sends the first chunks of one and then nothing. A
stream whose next line is None is cut there.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

__all__ = ["Provider", "serving"]

Route = Callable[["Provider", dict[str, Any]], "Any"]


class Provider:
    """The server: ``requests`` holds the decoded bodies, ``received`` their headers in lower case.

    ``headers`` goes with every answer.
    """

    def __init__(self, routes: dict[str, Callable[[dict[str, Any]], Any]]) -> None:
        self.routes = routes
        self.requests: list[dict[str, Any]] = []
        self.received: list[dict[str, str]] = []
        self.failed_once: set[str] = set()
        self.url = ""
        self.headers: dict[str, str] = {}
        self.stopping = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request, by the name of its model."""
        body = await request.json()
        self.requests.append(body)
        self.received.append({name.lower(): value for name, value in request.headers.items()})
        model = body.get("model") or request.match_info.get("model", "ok")
        if model.startswith("status-") or (model == "flaky" and self._first(request)):
            status = int(model[7:]) if model.startswith("status-") else 500
            return web.json_response(
                {"error": {"message": "no luck", "type": "stub_error", "code": "stub"}},
                status=status,
                headers={"x-request-id": "req_stub", "request-id": "req_stub"},
            )
        if model == "never":
            await self.stopping.wait()
        reply = self.routes[request.path](body)
        headers = {"x-request-id": "req_stub", "request-id": "req_stub", **self.headers}
        if isinstance(reply, dict):
            return web.json_response(reply, headers=headers)
        return await self._stream(request, model, reply, headers)

    def _first(self, request: web.Request) -> bool:
        key = request.headers.get("x-stub-key", request.path)
        if key in self.failed_once:
            self.failed_once.discard(key)
            return False
        self.failed_once.add(key)
        return True

    async def _stream(
        self, request: web.Request, model: str, lines: Iterator[str], headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            for number, line in enumerate(lines):
                if line is None or (model == "cut" and number == 3):
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                if model == "sse-error" and number == 3:
                    await response.write(sse_error().encode())
                    return response
                await response.write(line if isinstance(line, bytes) else line.encode())
                if model == "stuck" and number == 2:
                    await self.stopping.wait()
            await response.write_eof()
        except ConnectionError:  # the client went away, as it may
            pass
        return response


def sse_error() -> str:
    """An error in the middle of a stream, in a form that all SDKs take for one."""
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "too much"}}
    return f"event: error\ndata: {json.dumps(body)}\n\n"


@contextmanager
def serving(routes: dict[str, Callable[[dict[str, Any]], Any]]) -> Iterator[Provider]:
    """Serve ``routes`` (path -> function from a body to a JSON object or to lines of SSE)."""
    provider = Provider(routes)
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", provider.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def stop(runner: web.AppRunner) -> None:
        provider.stopping.set()
        await runner.cleanup()
        unfinished = asyncio.all_tasks() - {asyncio.current_task()}
        if unfinished:  # requests whose clients have gone long ago
            await asyncio.wait(unfinished, timeout=10)

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(stop(runner))
        loop.close()

    thread = threading.Thread(target=run, name="stub-provider", daemon=True)
    thread.start()
    assert ready.wait(100)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(100)
