"""``sessiontrace import humanloop PATH``: old sessions into the local store, or on to a vendor.

Records go the way of all records, through a spool, so that a kill loses nothing. Invariant: the
place where a repeated run begins is written only after everything before it was delivered.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from sessiontrace.cli.render.format import amount, printable
from sessiontrace.config import default_spool, resolve
from sessiontrace.model.errors import SessionTraceError
from sessiontrace.pipeline import Pipeline
from sessiontrace.spool.frame import head
from sessiontrace.vendors.humanloop.export_file import BadLineError, Survey, read_line, records_of

__all__ = ["import_"]

_LOGS_BETWEEN_FLUSHES = 1000
_FLUSH_S = 60.0
_LONGEST_LINE = 64 << 20


@click.group("import")
def import_() -> None:
    """Bring sessions from elsewhere."""


@import_.command("humanloop")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--to", "to", default="local", show_default=True, help="The destination, by name.")
@click.option("--again", is_flag=True, help="Begin at the beginning, not where the last run ended.")
def humanloop(path: Path, to: str, again: bool) -> None:
    """Import a Humanloop export.

    PATH: its folder, or one file of logs (JSONL). Nothing arrives twice, however often it is
    repeated; lines that are no logs are reported by number and skipped.
    """
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
        survey = _look_through(files, progress, progress.add_task("looking", total=total))
        pipeline = Pipeline(
            destinations, options, started=lambda: None, forked=lambda head, body: False
        )
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
    """How many lines of each file are delivered."""

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
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(self.done))
        os.replace(fresh, self.path)


class _Run:
    """One import under way: its counts, and what is read but not yet delivered."""

    def __init__(self, pipeline: Pipeline, survey: Survey, state: _State, console: Console) -> None:
        self.logs = self.bad = self.skipped = 0
        self._pipeline = pipeline
        self._survey = survey
        self._state = state
        self._console = console
        self._waiting = 0
        self._read: dict[str, int] = {}

    def read(self, file: Path) -> None:
        """Import one file from where an earlier run ended."""
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
        """Wait until everything read is delivered, and write down how far that is."""
        if self._waiting:
            report = self._pipeline.flush(_FLUSH_S)
            (delivery,) = report.stats.destinations.values()
            if not report.complete:
                why = delivery.last_error or f"not done in {_FLUSH_S:g} s"
                raise SessionTraceError(
                    f"the destination does not take the records now ({why}); "
                    "repeat the command later, it goes on where it stopped"
                )
        self._state.done.update(self._read)
        self._state.save()
        self._waiting = 0

    def rejected(self) -> int:
        """Records that the destination refused for good."""
        return sum(one.rejected for one in self._pipeline.stats().destinations.values())

    def _offer(self, kind: bytes, body: bytes) -> None:
        if not self._pipeline.offer(head(kind, b"*"), body):
            raise SessionTraceError("the spool takes no more records; is the disk full?")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(path.rglob("logs/*.jsonl"), key=lambda one: (one.parent, len(one.name), one))
    if not found:
        raise click.ClickException(
            f"no logs/*.jsonl under {printable(str(path))}; was the export made with "
            "EXPORT_LOGS=true?"
        )
    return found


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers from 1."""
    with file.open("rb") as opened:
        number = 0
        while line := opened.readline(_LONGEST_LINE):
            number += 1
            if line.strip():
                yield number, line


def _look_through(files: list[Path], progress: Progress, task: TaskID) -> Survey:
    survey = Survey()
    for file in files:
        for _, line in _lines(file):
            try:
                survey.note(read_line(line))
            except BadLineError:  # reported by number when it is imported
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
