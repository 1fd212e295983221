"""``sessiontrace spool dead``, ``retry`` and ``drop``: what was refused for good, and giving up.

Invariant: a dead letter leaves its file only once it is in a spool again; nothing is removed
without being asked for by name or by ``--yes``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table

from sessiontrace.cli.commands.spool_delivery import DIRECTORY, opened, root_of
from sessiontrace.cli.render.format import amount, printable, terminal, when
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import OS_FILES
from sessiontrace.spool.frame import NAME, head
from sessiontrace.spool.status import inspect

__all__ = ["dead", "drop", "retry"]

_REASON_WIDTH = 80
_RECORD = b',"record":'


@click.command("dead")
@DIRECTORY
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def dead(directory: Path | None, as_json: bool) -> None:
    """List the dead letters under DIR: records that a destination refused for good, and why."""
    root = root_of(directory)
    letters = [letter for path in _files(root) for letter in _letters(path)]
    if as_json:
        for letter in letters:
            click.echo(orjson.dumps(letter))
        return
    if not letters:
        click.echo(f"no dead letters under {printable(str(root))}", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("REFUSED AT", "DESTINATION", "KIND", "EVENT", "NAME", "REASON"):
        table.add_column(title, no_wrap=True)
    for letter in letters:
        record = letter["record"]
        table.add_row(
            when(letter["at"]),
            printable(letter["destination"]),
            printable(letter["kind"]),
            printable(str(record.get("event_id", ""))),
            printable(str(record.get("event_name", "")), 40),
            printable(letter["reason"], _REASON_WIDTH),
        )
    terminal().print(table)


@click.command("retry")
@click.argument("destination")
@DIRECTORY
@click.option("--timeout", default=10.0, show_default=True, help="Seconds to wait for delivery.")
def retry(destination: str, directory: Path | None, timeout: float) -> None:
    """Send the dead letters of DESTINATION under DIR again, with the key of the environment."""
    root = root_of(directory)
    pipeline, destinations = opened(root)
    if destination not in {one.name for one in destinations}:
        known = ", ".join(printable(one.name) for one in destinations)
        raise click.UsageError(f"{printable(destination)} is not configured here; {known} is")
    sent = 0
    for path in [path for path in _files(root) if path.name.split(".jsonl")[0] in
                 {destination, f"{destination}.old"}]:  # fmt: skip
        taken = path.with_name(f"{path.name}.{os.getpid()}")
        path.rename(taken)  # what is refused again goes to a new file
        for kind, body in _bodies(taken):
            sent += pipeline.offer(head(kind, destination.encode()), body)
        taken.unlink()
    report = pipeline.flush(timeout)
    pipeline.close(0.5)
    books = report.stats.destinations[destination]
    click.echo(
        f"{amount(sent, 'dead letter')} sent again: {books.acked:,} delivered, "
        f"{books.rejected:,} refused, {books.pending:,} left for the next program"
    )


@click.command("drop")
@DIRECTORY
@click.option("--id", "only", help="The one spool to remove, as `spool status` names it.")
@click.option("--dead", "letters", is_flag=True, help="Remove the dead letters instead.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(directory: Path | None, only: str | None, letters: bool, yes: bool) -> None:
    """Remove what ended programs left under DIR, undelivered. There is no way back.

    Spools whose program lives are not touched.
    """
    root = root_of(directory)
    if letters:
        paths = _files(root)
        _ask(yes, f"remove {amount(len(paths), 'file')} of dead letters")
        for path in paths:
            path.unlink()
        click.echo(f"{amount(len(paths), 'file')} removed")
        return
    found = [one for one in inspect(root) if not one.alive and only in (None, one.spool_id)]
    if only is not None and not found:
        raise click.UsageError(f"no ended spool {printable(only)} under {printable(str(root))}")
    records = sum(debt.pending for one in found for debt in one.debts)
    _ask(yes, f"remove {amount(len(found), 'spool')} with {amount(records, 'record')} undelivered")
    removed = 0
    for one in found:
        lock = directories.try_lock(OS_FILES, root / one.spool_id)
        if lock is not None:
            removed += directories.remove(OS_FILES, root / one.spool_id, lock)
    click.echo(f"{amount(removed, 'spool')} removed")


def _ask(yes: bool, what: str) -> None:
    if not yes:
        click.confirm(what[0].upper() + what[1:] + "?", abort=True)


def _files(root: Path) -> list[Path]:
    """The files of dead letters, older ones first."""
    found = [
        path
        for path in (root / "dead").glob("*.jsonl")
        if path.is_file() and not path.is_symlink() and NAME.match(path.name.split(".jsonl")[0])
    ]
    return sorted(found, key=lambda path: (not path.name.endswith(".old.jsonl"), path.name))


def _letters(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                letter = orjson.loads(line)
                if isinstance(letter["record"], dict) and isinstance(letter["at"], int):
                    yield {name: letter[name] for name in _NEEDED}
            except (orjson.JSONDecodeError, KeyError, TypeError):
                click.echo(f"a line of {printable(path.name)} cannot be read", err=True)


_NEEDED = ("at", "destination", "kind", "reason", "record")


def _bodies(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each letter, the body byte for byte as it was spooled."""
    with path.open("rb") as lines:
        for line in lines:
            envelope, mark, rest = line.rstrip(b"\n").partition(_RECORD)
            try:
                kind = orjson.loads(envelope + b"}")["kind"].encode()
                orjson.loads(rest[:-1])
            except (orjson.JSONDecodeError, KeyError):
                continue
            if mark and kind in (b"start", b"event", b"end", b"update"):
                yield kind, rest[:-1]
