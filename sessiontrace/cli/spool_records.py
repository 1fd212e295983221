"""``sessiontrace spool show``: the records that wait for a destination, to look at.

Invariant: it recovers, sends and removes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import click
import orjson

from sessiontrace.cli import other_keys
from sessiontrace.cli.render.console import stdout_console
from sessiontrace.cli.render.fitted_table import Column, fitted_lines
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.spool_options import directory_argument, root_of
from sessiontrace.model.json_depth import encode
from sessiontrace.model.record import Record
from sessiontrace.spool.recovery.peek import pending_records
from sessiontrace.spool.status import inspect
from sessiontrace.text.format import printable, when

__all__ = ["show"]

_NAME_WIDTH = 40


@attrs.frozen
class _Line:
    """A record in its spool; ``body`` is decoded."""

    spool: str
    kind: str
    body: dict[str, Any]

    def text(self, name: str) -> str:
        """A field of the body, on one line."""
        return printable(str(self.body.get(name, "")))


_COLUMNS: tuple[Column[_Line], ...] = (
    Column("SPOOL", 6, lambda line: line.spool),
    Column("TIME", 3, lambda line: _time(line.body)),
    Column("KIND", 5, lambda line: line.kind),
    Column("TYPE", 4, lambda line: line.text("event_type")),
    Column("NAME", 1, lambda line: printable(line.text("event_name"), _NAME_WIDTH)),
    Column("SESSION", 2, lambda line: line.text("session_id")),
)


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
    lines = [
        _Line(spool_id, record.kind.decode(), _body(record))
        for spool_id, record in islice(_records(root, fingerprint), limit)
    ]
    if as_json:
        for line in lines:
            click.echo(encode({"spool": line.spool, "kind": line.kind, "record": line.body}))
        return
    console = stdout_console()
    for text in fitted_lines(_COLUMNS, lines, console.width, flexible="NAME"):
        console.print(text, soft_wrap=True)


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
