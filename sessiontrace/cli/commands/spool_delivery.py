"""``sessiontrace spool flush`` and ``drain``: deliver the records of finished programs.

For a container's sidecar, or before a machine is switched off. The destinations and their keys come
from the environment, as for ``init()``. Invariant: the spools of running programs stay untouched,
and so do records for any destination that is not configured.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sessiontrace.cli import other_keys
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.spool_options import SECONDS, directory_argument, pipeline_over, root_of
from sessiontrace.config import resolve
from sessiontrace.model.destination import Destination
from sessiontrace.report import Stats
from sessiontrace.spool.status import inspect
from sessiontrace.text.format import amount, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from sessiontrace.pipeline import Pipeline

__all__ = ["drain", "flush"]

_POLL_S = 0.05
_SCAN_EVERY_S = 2.0
_CLOSE_S = 0.5


@click.command("flush", cls=RichCommand)
@directory_argument
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=SECONDS,
    default=10.0,
    show_default=True,
    help="How long delivery may take.",
)
@click.option("--adopt-from", metavar="FINGERPRINT", help="Send what waits for another key, too.")
@click.option("--yes", is_flag=True, help="Do not ask before that.")
def flush(directory: Path | None, timeout: float, adopt_from: str | None, yes: bool) -> None:
    """Deliver records of finished programs, in limited time.

    The exit status is 1 when records are left over. The environment configures the destinations,
    as for a program. DIR: the directory of the spools, by default SESSIONTRACE_SPOOL, else in the
    user's state directory.
    """
    root = root_of(directory)
    adopt = None if adopt_from is None else _adoption(root, adopt_from, yes)
    raise click.exceptions.Exit(0 if _deliver(root, timeout, False, adopt) else 1)


@click.command("drain", cls=RichCommand)
@directory_argument
@click.option("--follow", is_flag=True, help="Wait for more records until interrupted.")
def drain(directory: Path | None, follow: bool) -> None:
    """Deliver records of finished programs, all of them.

    Ctrl-C stops it and loses nothing. The environment configures the destinations, as for a
    program. DIR: the directory of the spools, by default SESSIONTRACE_SPOOL, else in the user's
    state directory.
    """
    raise click.exceptions.Exit(0 if _deliver(root_of(directory), None, follow) else 1)


def _adoption(root: Path, prefix: str, yes: bool) -> dict[str, str]:
    destinations, _ = resolve((), {"spool": root, "enabled": True})
    return other_keys.adoption(root, destinations, prefix, yes)


def _deliver(
    root: Path, timeout: float | None, follow: bool, adopt: dict[str, str] | None = None
) -> bool:
    """Recover and send; returns whether nothing is left for the configured destinations."""
    from rich.console import Console

    pipeline, destinations = pipeline_over(root, adopt)
    names = ", ".join(printable(destination.name) for destination in destinations)
    console = Console(stderr=True, highlight=False)
    deadline = None if timeout is None else time.monotonic() + timeout
    recovered = pipeline.recover()
    if not recovered and not pipeline.stats().waiting_spools and not follow:
        click.echo(f"nothing waits under {printable(str(root))} for {names}", err=True)
        return not _reported(root, destinations)
    try:
        pipeline.start_threads()
        with _bar(console) as progress:
            _watch(pipeline, progress, recovered, deadline, follow)
    except KeyboardInterrupt:
        pass
    stats = pipeline.close(_CLOSE_S).stats
    for name, delivery in stats.destinations.items():
        click.echo(
            f"{printable(name)}: {amount(delivery.adopted_acked, 'record')} delivered, "
            f"{delivery.adopted_rejected:,} refused, {delivery.adopted_pending:,} left"
            + (f" ({printable(delivery.last_error)})" if delivery.last_error else "")
        )
    if stats.waiting_spools:
        click.echo(f"{amount(stats.waiting_spools, 'spool')} not reached in time", err=True)
    elsewhere = _reported(root, destinations)
    return not (_pending(stats) or stats.waiting_spools or elsewhere)


def _reported(root: Path, destinations: Sequence[Destination]) -> bool:
    """Say what waits for other keys or addresses; whether anything does."""
    return other_keys.report(root, other_keys.waiting(inspect(root), destinations))


def _watch(
    pipeline: Pipeline, progress: Progress, recovered: int, deadline: float | None, follow: bool
) -> None:
    task = progress.add_task("sending", total=recovered, error="")
    scanned_at = time.monotonic()
    scans: list[int | BaseException] = []  # results of the scans that the worker ran
    while True:
        stats = pipeline.stats()
        pending = _pending(stats)
        deliveries = stats.destinations.values()
        errors = [delivery.last_error for delivery in deliveries if delivery.last_error]
        progress.update(
            task,
            total=recovered,
            completed=recovered - pending,
            error=printable(errors[0], 60) if errors else "",
        )
        now = time.monotonic()
        settled = not pending and not stats.waiting_spools
        if (settled and not follow) or (deadline is not None and now >= deadline):
            return
        if follow and now - scanned_at >= _SCAN_EVERY_S:
            scanned_at = now
            pipeline.worker.submit(pipeline.recover, scans.append)
        recovered += sum(result for result in scans if isinstance(result, int))
        scans.clear()
        time.sleep(_POLL_S)


def _pending(stats: Stats) -> int:
    return sum(delivery.adopted_pending for delivery in stats.destinations.values())


def _bar(console: Console) -> Progress:
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    return Progress(
        *Progress.get_default_columns()[:2],
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[error]}", style="yellow"),
        console=console,
        disable=not console.is_terminal,
    )
