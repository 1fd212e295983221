"""``sessiontrace spool``: what waits on this machine for which destination; ``spool status``.

Invariant: ``status`` recovers, moves and removes nothing, so that it may run beside the programs
that write.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click
import orjson

from sessiontrace.cli import other_keys
from sessiontrace.cli.commands.dead_letters import dead, drop, retry
from sessiontrace.cli.commands.spool_delivery import drain, flush
from sessiontrace.cli.render.console import stdout_console, table
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.spool_options import directory_argument, root_of
from sessiontrace.cli.spool_records import show
from sessiontrace.spool.status import ConsumerLag, Status, inspect
from sessiontrace.text.format import amount, duration, printable, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["command"]

_SERVICE_WIDTH = 32


@click.group("spool")
def command() -> None:
    """Show, send or discard records waiting on this machine.

    Each program has a spool, a directory that holds its records until they are delivered.
    """


@command.command("status", cls=RichCommand)
@directory_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(directory: Path | None, as_json: bool) -> None:
    """Show the spools and their pending records.

    Counts the records that wait for each destination. The exit status is 1 when some wait for a
    destination that the environment configures with another key or address. DIR: the directory of
    the spools, by default SESSIONTRACE_SPOOL, else in the user's state directory.
    """
    root = root_of(directory)
    spools = inspect(root)
    others = other_keys.waiting(spools, other_keys.configured(root))
    others = [other for other in others if other.same_kind]
    if as_json:
        plain = [attrs.asdict(spool) for spool in spools]
        click.echo(orjson.dumps(plain, option=orjson.OPT_INDENT_2))
    elif not spools:
        click.echo(f"nothing waits: no spool under {printable(str(root))}", err=True)
    else:
        console = stdout_console()
        console.print(_table_of(spools))
        _sum_up(console, spools, sum(other.records for other in others))
    if other_keys.report(root, others):
        raise click.exceptions.Exit(1)


for _subcommand in (flush, drain, show, dead, retry, drop):
    command.add_command(_subcommand)


def _table_of(spools: Sequence[Status]) -> Table:
    grid = table(
        "SPOOL", "SERVICE", "PROCESS", "AGE", "SIZE", "DESTINATION", "KIND", "FINGERPRINT",
        "PENDING", right=frozenset({"AGE", "SIZE", "PENDING"}),
    )  # fmt: skip
    for spool in spools:
        for at, lag in enumerate(spool.lags or (None,)):
            grid.add_row(*(_process_cells(spool) if at == 0 else [""] * 5), *_lag_cells(lag))
    return grid


def _process_cells(spool: Status) -> list[str | Text]:
    from rich.text import Text

    process = f"{spool.pid}" if spool.pid else "unknown"
    return [
        spool.spool_id,
        printable(spool.service, _SERVICE_WIDTH) or Text("unreadable", style="red"),
        Text(process) if spool.alive else Text(f"{process}, ended", style="yellow"),
        duration(spool.age_s * 1000),
        size(spool.used_bytes),
    ]


def _lag_cells(lag: ConsumerLag | None) -> list[str | Text]:
    from rich.text import Text

    if lag is None:
        return [Text("unknown", style="red"), "", "", ""]
    consumer = lag.consumer
    pending = Text(f"{lag.pending:,}", style="bold" if lag.pending else "dim")
    fingerprint = printable(consumer.fingerprint[:8])
    return [printable(consumer.name), printable(consumer.kind), fingerprint, pending]


def _sum_up(console: Console, spools: Sequence[Status], elsewhere: int) -> None:
    """``elsewhere``: how many records wait for another key or address, which is said apart."""
    orphans = [spool for spool in spools if not spool.alive]
    waiting = sum(lag.pending for spool in orphans for lag in spool.lags) - elsewhere
    if waiting:
        programs = amount(len(orphans), "finished program")
        console.print(
            f"{amount(waiting, 'record')} left by {programs}: the next program with the same spool "
            "directory and destination sends them, or `sessiontrace spool flush` does now",
            style="dim",
        )
    damaged = sum(spool.damaged for spool in spools)
    if damaged:
        console.print(f"{amount(damaged, 'damaged place')} in the segments", style="red")
