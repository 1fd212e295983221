"""``sessiontrace mcp``: the stored sessions for a coding agent, over MCP on stdin and stdout.

Reads only, creates no file, and needs no server. Invariant: stdout carries the protocol alone.
"""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import click

from sessiontrace.cli.store_options import db_option, project_option, stores_to_read, url_option
from sessiontrace.runtime.version import version

__all__ = ["command"]

_EXTRA = "`sessiontrace mcp` needs the extra 'mcp': pip install 'sessiontrace[mcp]'"
_READ_S = 30.0


@click.command("mcp")
@db_option
@url_option
@project_option
def command(db: Path | None, url: str | None, project: str) -> None:
    """Let coding agents read the stored sessions over MCP.

    An agent starts this command itself and speaks with it on stdin and stdout, as in `claude mcp
    add sessiontrace -- sessiontrace mcp`. A server (`sessiontrace serve`) has the same tools at
    /mcp.
    """
    if importlib.util.find_spec("mcp") is None:
        raise click.UsageError(_EXTRA)
    from mcp.server.stdio import stdio_server

    from sessiontrace.server.apis.mcp.mcp_server import make_server
    from sessiontrace.server.store_readers import StoreReaders

    stores = stores_to_read(db, url, project)
    readers = StoreReaders(stores, threads=1, limit_s=_READ_S)

    async def serve() -> None:
        server = make_server(readers, version(), project)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    try:
        asyncio.run(serve())
    finally:
        readers.close()
        stores.close()
