"""``sessiontrace spool status``: what waits on this machine to be sent, and to where.

Invariant: it adopts, moves and removes nothing, so it may run beside the programs that write.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sessiontrace.cli.commands.dead_letters import dead, drop, retry
from sessiontrace.cli.commands.spool_delivery import drain, flush
from sessiontrace.cli.render.format import amount, duration, printable, size, terminal
from sessiontrace.config import default_spool
from sessiontrace.spool.status import ConsumerLag, Status, inspect

__all__ = ["spool"]

_SERVICE_WIDTH = 32


@click.group()
def spool() -> None:
    """Tell what waits on this machine to be sent, and send it or give it up."""


for each in (dead, retry, drop, flush, drain):
    spool.add_command(each)


@spool.command("status")
@click.argument(
    "directory", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(directory: Path | None, as_json: bool) -> None:
    """Tell what each spool under DIR holds, and how many records wait for each destination.

    DIR: SESSIONTRACE_SPOOL, else the user's state directory.
    """
    root = (directory or default_spool()).expanduser().absolute()
    found = inspect(root)
    if as_json:
        click.echo(orjson.dumps([attrs.asdict(one) for one in found], option=orjson.OPT_INDENT_2))
        return
    if not found:
        click.echo(f"nothing waits: no spool under {printable(str(root))}", err=True)
        return
    console = terminal()
    console.print(_table(found))
    _sum_up(console, found)


def _table(found: Sequence[Status]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title, right in (
        ("SPOOL", False), ("SERVICE", False), ("PROCESS", False), ("AGE", True), ("SIZE", True),
        ("DESTINATION", False), ("KIND", False), ("FINGERPRINT", False), ("PENDING", True),
    ):  # fmt: skip
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for one in found:
        for at, debt in enumerate(one.debts or (None,)):
            table.add_row(*(_about(one) if at == 0 else [""] * 5), *_owed(debt))
    return table


def _about(one: Status) -> list[str | Text]:
    process = f"{one.pid}" if one.pid else "unknown"
    return [
        one.spool_id,
        printable(one.service, _SERVICE_WIDTH) or Text("unreadable", style="red"),
        Text(process) if one.alive else Text(f"{process}, ended", style="yellow"),
        duration(one.age_s * 1000),
        size(one.used_bytes),
    ]


def _owed(debt: ConsumerLag | None) -> list[str | Text]:
    if debt is None:
        return [Text("unknown", style="red"), "", "", ""]
    owed = debt.owed
    pending = Text(f"{debt.pending:,}", style="bold" if debt.pending else "dim")
    return [printable(owed.name), printable(owed.kind), printable(owed.fingerprint[:8]), pending]


def _sum_up(console: Console, found: Sequence[Status]) -> None:
    orphans = [one for one in found if not one.alive]
    waiting = sum(debt.pending for one in orphans for debt in one.debts)
    if waiting:
        console.print(
            f"{amount(waiting, 'record')} of {amount(len(orphans), 'process', 'processes')} that "
            "ended: the next program with the same spool directory and destination sends them",
            style="dim",
        )
    damaged = sum(one.damaged for one in found)
    if damaged:
        console.print(f"{amount(damaged, 'damaged place')} in the segments", style="red")
