"""``sessiontrace spool flush`` and ``drain``: deliver what ended programs left under a directory.

For a container's sidecar, or before a machine is switched off. The destinations, with their keys,
come from the environment, as in ``init()``. Invariant: spools whose process lives are not touched,
nor is anything that is owed to another destination than the configured ones.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from sessiontrace.cli.render.format import amount, printable
from sessiontrace.config import default_spool, resolve
from sessiontrace.model.destination import Destination
from sessiontrace.pipeline import Pipeline
from sessiontrace.report import Stats

__all__ = ["DIRECTORY", "drain", "flush", "opened", "root_of"]

_POLL_S = 0.05
_LOOK_EVERY_S = 2.0

DIRECTORY = click.argument(
    "directory", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]"
)


def root_of(directory: Path | None) -> Path:
    """The directory of all spools that a command means."""
    return (directory or default_spool()).expanduser().absolute()


def opened(root: Path) -> tuple[Pipeline, tuple[Destination, ...]]:
    """A pipeline over that directory to what the environment configures; ConfigError if nothing."""
    destinations, options = resolve((), {"spool": root, "enabled": True})
    return (
        Pipeline(destinations, options, started=lambda: None, forked=lambda head, body: False),
        destinations,
    )


@click.command("flush")
@DIRECTORY
@click.option("--timeout", default=10.0, show_default=True, help="Seconds it may take.")
def flush(directory: Path | None, timeout: float) -> None:
    """Deliver once what ended programs left under DIR; status 1 when something is left over.

    DIR: SESSIONTRACE_SPOOL, else the user's state directory. Destinations: from the environment.
    """
    raise click.exceptions.Exit(0 if _deliver(root_of(directory), timeout, False) else 1)


@click.command("drain")
@DIRECTORY
@click.option("--follow", is_flag=True, help="Go on looking for more until interrupted.")
def drain(directory: Path | None, follow: bool) -> None:
    """Deliver what ended programs left under DIR, for as long as it takes. Ctrl-C loses nothing.

    DIR: SESSIONTRACE_SPOOL, else the user's state directory. Destinations: from the environment.
    """
    raise click.exceptions.Exit(0 if _deliver(root_of(directory), None, follow) else 1)


def _deliver(root: Path, timeout: float | None, follow: bool) -> bool:
    """Adopt and send; whether nothing is left for the configured destinations."""
    pipeline, destinations = opened(root)
    names = ", ".join(printable(destination.name) for destination in destinations)
    console = Console(stderr=True, highlight=False)
    deadline = None if timeout is None else time.monotonic() + timeout
    found = pipeline.adopt()
    if not found and not follow:
        click.echo(f"nothing waits under {printable(str(root))} for {names}", err=True)
        return True
    try:
        pipeline.start_threads()
        with _bar(console) as progress:
            _watch(pipeline, progress, found, deadline, follow)
    except KeyboardInterrupt:
        pass
    stats = pipeline.close(0.5).stats
    for name, delivery in stats.destinations.items():
        click.echo(
            f"{printable(name)}: {amount(delivery.adopted_acked, 'record')} delivered, "
            f"{delivery.adopted_rejected:,} refused, {delivery.adopted_pending:,} left"
            + (f" ({printable(delivery.last_error)})" if delivery.last_error else "")
        )
    return not _left(stats)


def _watch(
    pipeline: Pipeline, progress: Progress, found: int, deadline: float | None, follow: bool
) -> None:
    task = progress.add_task("sending", total=found, error="")
    looked_at = time.monotonic()
    came: list[int | BaseException] = []
    while True:
        stats = pipeline.stats()
        left = _left(stats)
        errors = [one.last_error for one in stats.destinations.values() if one.last_error]
        progress.update(
            task,
            total=found,
            completed=found - left,
            error=printable(errors[0], 60) if errors else "",
        )
        now = time.monotonic()
        if (not left and not follow) or (deadline is not None and now >= deadline):
            return
        if follow and now - looked_at >= _LOOK_EVERY_S:
            looked_at = now  # on the keeper's thread, which looks from time to time, too
            pipeline.keeper.submit(pipeline.adopt, came.append)
        found += sum(one for one in came if isinstance(one, int))
        came.clear()
        time.sleep(_POLL_S)


def _left(stats: Stats) -> int:
    return sum(delivery.adopted_pending for delivery in stats.destinations.values())


def _bar(console: Console) -> Progress:
    return Progress(
        *Progress.get_default_columns()[:2],
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[error]}", style="yellow"),
        console=console,
        disable=not console.is_terminal,
    )
