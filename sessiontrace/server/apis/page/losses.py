"""Losses that programs writing to this store have reported, for the banner above the page.

Runs on the server's loop. Invariant: a loss is shown only if a program counted it itself.

GET /api/losses          {losses: [{id, service, pid, at, counts}]} of the last day
POST /api/losses/seen    {id}: hide it until the program loses more
"""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from sessiontrace.server.http import (
    RequestRejected,
    error_response,
    json_response,
    read_json,
    with_vendor_errors,
)
from sessiontrace.server.store_changes import Change
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store import loss_reports
from sessiontrace.store.protocol import Store

__all__ = ["routes"]


def routes(readers: StoreReaders, writer: StoreWriter) -> list[web.RouteDef]:
    """The routes over one store."""

    async def recent_losses(request: web.Request) -> web.Response:
        reports = await readers.query(loss_reports.recent)
        return json_response({"losses": [attrs.asdict(report) for report in reports]})

    async def seen(request: web.Request) -> web.Response:
        body: Any = await read_json(request)
        name = body.get("id") if isinstance(body, dict) else None
        if not isinstance(name, str):
            raise RequestRejected(400, "id must be a text")

        def plan(store: Store) -> tuple[Change, None]:
            return Change(documents=[loss_reports.forgotten(name)]), None

        await writer.transact(frozenset(), plan)
        return json_response({"ok": True})

    return [
        web.get("/api/losses", with_vendor_errors(recent_losses, error_response)),
        web.post("/api/losses/seen", with_vendor_errors(seen, error_response)),
    ]
