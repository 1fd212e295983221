"""ClickHouse for the tests: the engine of chdb, served over ClickHouse's HTTP protocol.

``python engine.py FOLDER`` prints its port, and ends when its standard input does. One process, one
query at a time. It knows what the store asks for: statements with parameters and settings in URL or
form, inserts with their rows in the body, errors with their code.

GET /seen tells the settings of the last insert into each table.
"""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web
from chdb import session

_OF_HTTP = frozenset(
    {"query", "database", "query_id", "session_id", "session_timeout", "session_check",
     "compress", "decompress", "wait_end_of_query", "buffer_size", "default_format",
     "client_protocol_version", "enable_http_compression", "send_progress_in_http_headers",
     "http_headers_progress_interval_ms", "role", "quota_key"}
)  # fmt: skip
_CODE = re.compile(r"Code: (\d+)\.")
_INSERT = re.compile(r"\s*INSERT\s+INTO\s+`?(\w+)", re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*$", re.IGNORECASE)


class Engine:
    """One chdb session; what is asked of it runs on one thread, in turn."""

    def __init__(self, folder: str) -> None:
        self._session = session.Session(folder)
        self._thread = ThreadPoolExecutor(1)
        self._settings: dict[str, str] = {}
        self.seen: dict[str, dict[str, str]] = {}

    async def run(self, *asked: Any) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._run, *asked)

    def _run(
        self, sql: str, form: str, database: str, settings: dict[str, str], values: dict[str, str]
    ) -> bytes:
        self._session.query(f"USE `{database}`")
        self._set(settings)
        return bytes(self._session.query(sql, form, params=values or None).bytes())

    def _set(self, settings: dict[str, str]) -> None:
        for name in [name for name in self._settings if name not in settings]:
            self._session.query(f"SET {name} = DEFAULT")
            del self._settings[name]
        for name, value in settings.items():
            if self._settings.get(name) != value:
                quoted = value if re.fullmatch(r"[\d.]+", value) else f"'{value}'"
                self._session.query(f"SET {name} = {quoted}")
                self._settings[name] = value


def app(engine: Engine) -> web.Application:
    """The protocol over the engine."""

    async def ping(request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def seen(request: web.Request) -> web.Response:
        return web.json_response(engine.seen)

    async def answer(request: web.Request) -> web.Response:
        given = dict(request.query)
        if request.content_type == "multipart/form-data":
            given |= {name: str(value) for name, value in (await request.post()).items()}
            body = ""
        else:
            body = (await request.read()).decode()
        sql = "\n".join(filter(None, (given.get("query"), body)))
        settings = {
            name: value
            for name, value in given.items()
            if name not in _OF_HTTP and not name.startswith("param_")
        }
        values = {n.removeprefix("param_"): v for n, v in given.items() if n.startswith("param_")}
        if insert := _INSERT.match(sql):
            engine.seen[insert[1]] = settings
        form = found[1] if (found := _FORMAT.search(sql)) else "TabSeparated"
        headers = {
            "X-ClickHouse-Query-Id": given.get("query_id", str(uuid.uuid4())),
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Format": form,
        }
        try:
            found_bytes = await engine.run(
                sql, form, given.get("database", "default"), settings, values
            )
        except Exception as error:
            code = found[1] if (found := _CODE.search(str(error))) else "1002"
            headers["X-ClickHouse-Exception-Code"] = code
            return web.Response(status=500, text=str(error), headers=headers)
        return web.Response(body=found_bytes, headers=headers)

    made = web.Application(client_max_size=1 << 30)
    made.add_routes([web.get("/ping", ping), web.get("/seen", seen)])
    made.add_routes([web.get("/", answer), web.post("/", answer)])
    return made


async def _serve(folder: str) -> None:
    runner = web.AppRunner(app(Engine(folder)), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
