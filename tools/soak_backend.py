"""The soak's other side: a backend that is also the oracle, behind a proxy that makes trouble.

Both run in one loop in a thread of the supervisor. Invariant: whatever the proxy does, the oracle
counts an event as delivered only when its request arrived whole.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import zlib
from collections import Counter
from typing import Any

import orjson
from aiohttp import web

__all__ = ["Oracle", "check_of"]

_FAULTS = ("refuse", "cut request", "cut answer", "garbage", "slow", "none", "none")


def check_of(life: str, number: int) -> int:
    """What an event must carry beside its number: its integrity can be told from itself."""
    return zlib.crc32(f"{life}/{number}".encode())


class Oracle:
    """``delivered`` counts each event by ``life/number``; ``url`` is the proxy's address.

    ``keys`` are accepted, and no other.
    """

    def __init__(self, seed: int) -> None:
        self.delivered: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.trouble = False
        self.keys: set[str] = set()
        self.strays: Counter[str] = Counter()  # events in another's session, by life
        logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # of broken connections
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._port = 0
        self.url = ""
        threading.Thread(target=self._run, name="oracle", daemon=True).start()
        if not self._ready.wait(10):
            raise RuntimeError("the backend did not start")

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        proxy = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"

    # -- the backend -------------------------------------------------------------------------

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.keys:
            self.seen["401"] += 1
            return web.Response(status=401)
        if self.trouble:
            if len(raw) > 40_000 and self._dice.random() < 0.7:
                self.seen["413"] += 1
                return web.Response(status=413)
            status = self._dice.choice([200, 200, 200, 500, 503, 429, 408])
            if status != 200 and self._dice.random() < 0.5:
                return web.Response(status=status, headers={"Retry-After": "1"})
        else:
            status = 200
        body: Any = orjson.loads(raw or b"{}")
        for event in body.get("events", ()) if isinstance(body, dict) else ():
            self._note(event)
        if request.method == "PUT" and body.get("metadata", {}).get("abandoned"):
            self.seen["abandoned session"] += 1
        return web.json_response({"success": status == 200}, status=status)

    def _note(self, event: dict[str, Any]) -> None:
        inputs = event["inputs"]
        if inputs["session"] not in ("", event["session_id"]):
            self.seen["event in the session of another"] += 1
            self.strays[inputs["life"]] += 1
        key = f"{inputs['life']}/{inputs['number']}"
        if inputs["check"] != check_of(inputs["life"], inputs["number"]):
            self.seen["damaged event"] += 1
        if self.delivered[key]:
            self.seen["duplicate"] += 1
        self.delivered[key] += 1

    # -- the proxy ---------------------------------------------------------------------------

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._dice.choice(_FAULTS) if self.trouble else "none"
        self.seen[f"proxy: {fault}"] += 1
        inner: asyncio.StreamWriter | None = None
        try:
            if fault == "refuse":
                return
            back, inner = await asyncio.open_connection("127.0.0.1", self._port)
            limits = {"cut request": (self._dice.randrange(1, 30_000), None),
                      "cut answer": (None, self._dice.randrange(1, 300))}  # fmt: skip
            up, down = limits.get(fault, (None, None))
            if fault == "garbage":
                await reader.read(1 << 16)
                writer.write(self._dice.randbytes(200))
                await writer.drain()
                return
            pumps = [
                asyncio.ensure_future(self._pump(reader, inner, up, fault)),
                asyncio.ensure_future(self._pump(back, writer, down, fault)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in (writer, inner):
                if one is not None:
                    one.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, most: int | None, fault: str
    ) -> None:
        while raw := await source.read(1 << 16):
            if fault == "slow":
                await asyncio.sleep(self._dice.random() * 0.3)
            if most is not None and len(raw) >= most:
                sink.write(raw[:most])
                await sink.drain()
                return
            if most is not None:
                most -= len(raw)
            sink.write(raw)
            await sink.drain()
