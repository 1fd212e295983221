"""``sessiontrace spool show``: the records that wait for a destination, to look at.

Invariant: it recovers, sends and removes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
import orjson

from sessiontrace.cli import other_keys
from sessiontrace.cli.render.console import stdout_console, table
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.spool_options import directory_argument, root_of
from sessiontrace.model.json_depth import encode
from sessiontrace.model.record import Record
from sessiontrace.spool.recovery.peek import pending_records
from sessiontrace.spool.status import inspect
from sessiontrace.text.format import printable, when

__all__ = ["show"]

_NAME_WIDTH = 40


@click.command("show", cls=RichCommand)
@click.argument("fingerprint")
@directory_argument
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
              help="Show the first N records.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def show(fingerprint: str, directory: Path | None, limit: int, as_json: bool) -> None:
    """Show records that finished programs left for a destination.

    FINGERPRINT: that of the destination, or its beginning, as `status` shows it; it differs where
    key or address differ. DIR: the directory of the spools, by default SESSIONTRACE_SPOOL, else in
    the user's state directory.
    """
    root = root_of(directory)
    records = islice(_records(root, fingerprint), limit)
    if as_json:
        for spool_id, record in records:
            kind = record.kind.decode()
            click.echo(encode({"spool": spool_id, "kind": kind, "record": _body(record)}))
        return
    grid = table("SPOOL", "TIME", "KIND", "TYPE", "NAME", "SESSION")
    for spool_id, record in records:
        body = _body(record)
        grid.add_row(
            spool_id,
            _time(body),
            record.kind.decode(),
            printable(str(body.get("event_type", ""))),
            printable(str(body.get("event_name", "")), _NAME_WIDTH),
            printable(str(body.get("session_id", ""))),
        )
    stdout_console().print(grid)


def _records(root: Path, fingerprint: str) -> Iterator[tuple[str, Record]]:
    spools = [spool for spool in inspect(root) if not spool.alive]
    (match, *_) = other_keys.of_prefix(spools, (), fingerprint)
    for spool in spools:
        for lag in spool.lags:
            if lag.pending and lag.consumer.fingerprint == match.consumer.fingerprint:
                for record in pending_records(root / spool.spool_id, lag.consumer):
                    yield spool.spool_id, record


def _body(record: Record) -> dict[str, Any]:
    try:
        body = orjson.loads(record.body)
    except orjson.JSONDecodeError:
        return {"unreadable": record.body.decode(errors="replace")}
    return body if isinstance(body, dict) else {"unreadable": body}


def _time(body: dict[str, Any]) -> str:
    start = body.get("start_time", body.get("end_time"))
    return when(start) if isinstance(start, int) else ""
