"""``sessiontrace spool``: what waits on this machine for which destination; ``spool status``.

Invariant: ``status`` recovers, moves and removes nothing, so that it may run beside the programs
that write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click
import orjson

from sessiontrace.cli import other_keys
from sessiontrace.cli.commands.dead_letters import dead, drop, retry
from sessiontrace.cli.commands.spool_delivery import drain, flush
from sessiontrace.cli.render.console import stdout_console
from sessiontrace.cli.render.fitted_table import Column, fitted_lines
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.spool_options import directory_argument, root_of
from sessiontrace.cli.spool_records import show
from sessiontrace.spool.status import ConsumerLag, Status, inspect
from sessiontrace.text.format import amount, duration, printable, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["command"]

_SERVICE_WIDTH = 32
_NARROW_SERVICE = 8


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
        for line in _lines_of(spools, console.width):
            console.print(line, soft_wrap=True)
        _sum_up(console, spools, sum(other.records for other in others))
    if other_keys.report(root, others):
        raise click.exceptions.Exit(1)


for _subcommand in (flush, drain, show, dead, retry, drop):
    command.add_command(_subcommand)


@attrs.frozen
class _Line:
    """A destination's lag in a spool; ``lag`` is None where the spool cannot be read."""

    spool: Status
    lag: ConsumerLag | None
    is_first: bool
    """Whether the line names the spool, which stands above its other destinations."""


def _of_spool(cell: Callable[[Status], str]) -> Callable[[_Line], str]:
    return lambda line: cell(line.spool) if line.is_first else ""


def _of_lag(cell: Callable[[ConsumerLag], str]) -> Callable[[_Line], str]:
    return lambda line: "" if line.lag is None else cell(line.lag)


def _process(spool: Status) -> str:
    process = f"{spool.pid}" if spool.pid else "unknown"
    return process if spool.alive else f"{process}, ended"


_COLUMNS: tuple[Column[_Line], ...] = (
    Column("SPOOL", 1, _of_spool(lambda spool: spool.spool_id)),
    Column(
        "SERVICE", 1,
        _of_spool(lambda spool: printable(spool.service, _SERVICE_WIDTH) or "unreadable"),
        lambda line: "default" if line.spool.service else "red",
    ),
    Column(
        "PROCESS", 4, _of_spool(_process), lambda line: "default" if line.spool.alive else "yellow"
    ),
    Column("AGE", 5, _of_spool(lambda spool: duration(spool.age_s * 1000)), right=True),
    Column("SIZE", 6, _of_spool(lambda spool: size(spool.used_bytes)), right=True),
    Column(
        "DESTINATION", 3,
        lambda line: "unknown" if line.lag is None else printable(line.lag.consumer.name),
        lambda line: "red" if line.lag is None else "default",
    ),
    Column("KIND", 7, _of_lag(lambda lag: printable(lag.consumer.kind))),
    Column("FINGERPRINT", 2, _of_lag(lambda lag: printable(lag.consumer.fingerprint[:8]))),
    Column(
        "PENDING", 2, _of_lag(lambda lag: f"{lag.pending:,}"),
        lambda line: "bold" if line.lag is not None and line.lag.pending else "dim", right=True,
    ),
)  # fmt: skip


def _lines_of(spools: Sequence[Status], width: int) -> list[Text]:
    lines = [
        _Line(spool, lag, at == 0)
        for spool in spools
        for at, lag in enumerate(spool.lags or (None,))
    ]
    return fitted_lines(_COLUMNS, lines, width, flexible="SERVICE", narrowest=_NARROW_SERVICE)


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
