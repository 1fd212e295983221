"""``sessiontrace import humanloop PATH``: exported sessions into the local store or to a vendor.

Records pass through a spool like all records, so that a kill loses nothing. Invariant: the place
where a repeated run continues is written only after delivery of everything before it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click
import orjson

from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.config import default_spool, resolve
from sessiontrace.model.errors import SessionTraceError
from sessiontrace.pipeline import Pipeline
from sessiontrace.spool.filesystem import OS_FILES
from sessiontrace.spool.frame import head
from sessiontrace.text.format import amount, printable
from sessiontrace.vendors.humanloop.export_file import BadLineError, Survey, read_line, records_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["command"]

_LOGS_BETWEEN_FLUSHES = 1000
_FLUSH_S = 60.0
_LONGEST_LINE = 64 << 20


@click.group("import")
def command() -> None:
    """Import sessions from another product."""


@command.command("humanloop", cls=RichCommand)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--to",
    metavar="DESTINATION",
    default="local",
    show_default=True,
    help="Name of the destination.",
)
@click.option("--again", is_flag=True, help="Start over instead of where the last run stopped.")
def humanloop(path: Path, to: str, again: bool) -> None:
    """Import a Humanloop export.

    PATH: the folder of the export, or one file of logs (JSONL). Repeating the command imports
    nothing twice. Lines that are not logs are reported by number and skipped; the exit status is
    then 1.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    files = _files(path)
    destinations, options = resolve((to,), {"service": "humanloop-import"})
    place = destinations[0].fingerprint()
    state = _State.load(_state_path(path, place), again)
    console = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=console,
        disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        total = sum(os.path.getsize(file) for file in files)
        survey = _survey(files, progress, progress.add_task("reading", total=total))
        pipeline = Pipeline(destinations, options)
        run = _Run(pipeline, survey, state, console)
        try:
            task = progress.add_task("importing", total=total)
            for file in files:
                run.read(file)
                progress.advance(task, os.path.getsize(file))
            run.flush()
        finally:
            pipeline.close(options.exit_timeout)
    _report(run, to)


@attrs.define
class _State:
    """How many lines of each file were delivered."""

    path: Path
    done: dict[str, int]

    @classmethod
    def load(cls, path: Path, again: bool) -> _State:
        try:
            done = {} if again else orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError):  # the first time
            done = {}
        return cls(path, done if isinstance(done, dict) else {})

    def save(self) -> None:
        OS_FILES.makedirs(self.path.parent)
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(self.done))
        os.replace(fresh, self.path)


class _Run:
    """One running import: its counts, and the lines that are read but not yet delivered."""

    def __init__(self, pipeline: Pipeline, survey: Survey, state: _State, console: Console) -> None:
        self.logs = self.bad = self.skipped = 0
        self._pipeline = pipeline
        self._survey = survey
        self._state = state
        self._console = console
        self._waiting = 0
        self._read: dict[str, int] = {}

    def read(self, file: Path) -> None:
        """Import one file from where an earlier run stopped."""
        name = str(file.resolve())
        done = self._state.done.get(name, 0)
        for number, line in _lines(file):
            if number <= done:
                self.skipped += 1
                continue
            try:
                log = read_line(line)
            except BadLineError as error:
                self.bad += 1
                self._console.print(
                    f"{printable(str(file))}:{number}: {printable(str(error))}",
                    markup=False,
                    soft_wrap=True,
                )
            else:
                for record in records_of(log, self._survey):
                    self._offer(record.kind, record.body)
                self.logs += 1
                self._waiting += 1
            self._read[name] = number
            if self._waiting >= _LOGS_BETWEEN_FLUSHES:
                self.flush()

    def flush(self) -> None:
        """Wait for the delivery of everything read so far, and write down how far that is."""
        if self._waiting:
            report = self._pipeline.flush(_FLUSH_S)
            (delivery,) = report.stats.destinations.values()
            if not report.complete:
                reason = delivery.last_error or f"not delivered within {_FLUSH_S:g} s"
                raise SessionTraceError(
                    f"the destination does not accept the records now ({reason}); "
                    "repeat the command later, it continues where it stopped"
                )
        self._state.done.update(self._read)
        self._state.save()
        self._waiting = 0

    def rejected(self) -> int:
        """How many records the destination refused for good."""
        deliveries = self._pipeline.stats().destinations.values()
        return sum(delivery.rejected for delivery in deliveries)

    def _offer(self, kind: bytes, body: bytes) -> None:
        if not self._pipeline.offer(head(kind, b"*"), body):
            raise SessionTraceError("the spool accepts no more records; check its disk space")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(path.rglob("logs/*.jsonl"), key=lambda file: (file.parent, len(file.name), file))
    if not files:
        raise click.ClickException(
            f"no logs/*.jsonl under {printable(str(path))}; export with EXPORT_LOGS=true"
        )
    return files


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers, which start at 1."""
    with file.open("rb") as opened:
        number = 0
        while line := opened.readline(_LONGEST_LINE):
            number += 1
            if line.strip():
                yield number, line


def _survey(files: list[Path], progress: Progress, task: TaskID) -> Survey:
    survey = Survey()
    for file in files:
        for _, line in _lines(file):
            try:
                survey.note(read_line(line))
            except BadLineError:  # the import reports it by number
                pass
        progress.advance(task, os.path.getsize(file))
    return survey


def _state_path(path: Path, place: str) -> Path:
    name = hashlib.sha256(f"{path.resolve()}\n{place}".encode()).hexdigest()[:24]
    return default_spool().parent / "imports" / f"{name}.json"


def _report(run: _Run, to: str) -> None:
    parts = [f"{amount(run.logs, 'log')} imported to {to}"]
    if run.skipped:
        parts.append(f"{amount(run.skipped, 'line')} done before")
    if run.bad:
        parts.append(f"{amount(run.bad, 'line')} skipped")
    if refused := run.rejected():
        parts.append(f"{amount(refused, 'record')} refused by the destination")
    click.echo(", ".join(parts))
    if run.bad or refused:
        sys.stdout.flush()
        raise click.exceptions.Exit(1)
