"""``sessiontrace spool dead``, ``retry`` and ``drop``: refused records, and giving records up.

Invariants: a dead letter leaves its file only once it is in a spool on the disk again, and goes to
the key and address that refused it unless the user says otherwise; nothing is removed unless the
user names it or confirms it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from sessiontrace.cli.render.console import stdout_console
from sessiontrace.cli.render.fitted_table import Column, fitted_lines
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.spool_options import SECONDS, directory_argument, pipeline_over, root_of
from sessiontrace.model.json_depth import encode
from sessiontrace.model.record import KINDS, OPEN
from sessiontrace.spool import spool_directory as directories
from sessiontrace.spool.filesystem import OS_FILES
from sessiontrace.spool.frame import NAME, head
from sessiontrace.spool.segment import MEMORY
from sessiontrace.spool.status import inspect
from sessiontrace.text.format import amount, printable, when

if TYPE_CHECKING:
    from sessiontrace.pipeline import Pipeline

__all__ = ["dead", "drop", "retry"]

_NAME_WIDTH = 40
_REASON_WIDTH = 80
_NARROW_REASON = 28
_CLOSE_S = 0.5
_RECORD = b',"record":'
_FIELDS = ("at", "destination", "kind", "reason", "record")
_COLUMNS: tuple[Column[dict[str, Any]], ...] = (
    Column("REFUSED AT", 4, lambda letter: when(letter["at"])),
    Column("DESTINATION", 5, lambda letter: printable(letter["destination"])),
    Column("KIND", 6, lambda letter: printable(letter["kind"])),
    Column("EVENT", 2, lambda letter: printable(str(letter["record"].get("event_id", "")))),
    Column(
        "NAME", 3,
        lambda letter: printable(str(letter["record"].get("event_name", "")), _NAME_WIDTH),
    ),
    Column("REASON", 1, lambda letter: printable(letter["reason"], _REASON_WIDTH)),
)  # fmt: skip


@click.command("dead", cls=RichCommand)
@directory_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def dead(directory: Path | None, as_json: bool) -> None:
    """List dead letters: refused records, and why.

    A destination refused these records for good. DIR: the directory of the spools, by default
    SESSIONTRACE_SPOOL, else in the user's state directory.
    """
    root = root_of(directory)
    letters = [letter for path in _files(root) for letter in _letters(path)]
    if as_json:
        for letter in letters:
            click.echo(encode(letter))
        return
    if not letters:
        click.echo(_no_letters(root), err=True)
        return
    console = stdout_console()
    for text in fitted_lines(_COLUMNS, letters, console.width, "REASON", _NARROW_REASON):
        console.print(text, soft_wrap=True)


@click.command("retry")
@click.argument("destination")
@directory_argument
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=SECONDS,
    default=10.0,
    show_default=True,
    help="How long to wait for delivery.",
)
@click.option("--any-key", is_flag=True, help="Send what another key or address refused, too.")
def retry(destination: str, directory: Path | None, timeout: float, any_key: bool) -> None:
    """Send the dead letters of DESTINATION again.

    The environment configures the destination and its key, as for a program. The exit status is 1
    when letters stay, because another key or address refused them or no spool can be written. DIR:
    the directory of the spools, by default SESSIONTRACE_SPOOL, else in the user's state directory.
    """
    root = root_of(directory)
    pipeline, destinations = pipeline_over(root)
    names = [configured.name for configured in destinations]
    if destination not in names:
        raise click.UsageError(
            f"destination {printable(destination)} is not configured in this environment; "
            f"configured: {', '.join(map(printable, names))}"
        )
    fingerprints = {target.name: target.fingerprint() for target in destinations}
    fingerprint = None if any_key else fingerprints[destination]
    sent = stayed = 0
    stems = {destination, f"{destination}.old"}
    for path in [path for path in _files(root) if _stem(path) in stems]:
        claimed = path.with_name(f"{_stem(path)}.jsonl.{os.getpid()}")
        path.rename(claimed)  # the destination may refuse a record again: into a new file
        lines = claimed.read_bytes().splitlines(keepends=True)
        left = [line for line in lines if not _sent(pipeline, destination, line, fingerprint)]
        sent += len(lines) - len(left)
        stayed += len(left)
        _put_back(claimed, left)
    report = pipeline.flush(timeout)
    pipeline.close(_CLOSE_S)
    delivery = report.stats.destinations[destination]
    click.echo(
        f"{amount(sent, 'dead letter')} sent again: {delivery.acked:,} delivered, "
        f"{delivery.rejected:,} refused, {delivery.pending:,} left for the next program"
    )
    if stayed:
        raise click.ClickException(
            f"{amount(stayed, 'dead letter')} stayed: another key or address refused them "
            "(--any-key sends them here), they cannot be read, or no spool can be written"
        )


@click.command("drop")
@directory_argument
@click.option("--id", "spool_id", metavar="SPOOL", help="Only this spool, as `status` names it.")
@click.option("--dead", "letters", is_flag=True, help="Delete dead letters instead.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def drop(directory: Path | None, spool_id: str | None, letters: bool, yes: bool) -> None:
    """Delete undelivered records permanently.

    Deletes the spools of finished programs, with their records; the spools of running programs stay
    untouched. DIR: the directory of the spools, by default SESSIONTRACE_SPOOL, else in the user's
    state directory.
    """
    root = root_of(directory)
    if letters:
        _drop_letters(root, yes)
        return
    spools = [
        spool for spool in inspect(root) if not spool.alive and spool_id in (None, spool.spool_id)
    ]
    if spool_id is not None and not spools:
        raise click.UsageError(
            f"no spool {printable(spool_id)} of a finished program under {printable(str(root))}"
        )
    if not spools:
        click.echo(f"no spool of a finished program under {printable(str(root))}", err=True)
        return
    records = sum(lag.pending for spool in spools for lag in spool.lags)
    question = f"Delete {amount(len(spools), 'spool')} with {amount(records, 'record')} undelivered"
    _confirm(yes, question)
    removed = 0
    for spool in spools:
        lock = directories.try_lock(OS_FILES, root / spool.spool_id)
        if lock is not None:
            removed += directories.remove(OS_FILES, root / spool.spool_id, lock)
    click.echo(f"{amount(removed, 'spool')} removed")


def _drop_letters(root: Path, yes: bool) -> None:
    paths = _files(root)
    if not paths:
        click.echo(_no_letters(root), err=True)
        return
    _confirm(yes, f"Delete {amount(len(paths), 'file')} of dead letters")
    for path in paths:
        path.unlink()
    click.echo(f"{amount(len(paths), 'file')} removed")


def _no_letters(root: Path) -> str:
    return f"no dead letters under {printable(str(root))}"


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        click.confirm(f"{question}?", abort=True)


def _files(root: Path) -> list[Path]:
    """The files of dead letters, older ones first."""
    paths = [
        path
        for path in (root / "dead").glob("*.jsonl*")
        if path.is_file() and not path.is_symlink() and NAME.match(_stem(path)) and _is_free(path)
    ]
    return sorted(paths, key=lambda path: (not _stem(path).endswith(".old"), path.name))


def _stem(path: Path) -> str:
    """A destination's name, with ``.old`` behind it in the older of its two files."""
    return path.name.split(".jsonl")[0]


def _is_free(path: Path) -> bool:
    """Whether no running ``retry`` has claimed the file; one that was killed left it."""
    suffix = path.name.partition(".jsonl")[2]
    if not suffix:
        return True
    if not suffix[1:].isdigit():
        return False
    try:
        os.kill(int(suffix[1:]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _letters(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                letter = orjson.loads(line)
                if isinstance(letter["record"], dict) and isinstance(letter["at"], int):
                    yield {name: letter[name] for name in _FIELDS}
            except (orjson.JSONDecodeError, KeyError, TypeError):
                click.echo(f"a line of {printable(path.name)} cannot be read", err=True)


def _sent(pipeline: Pipeline, destination: str, line: bytes, fingerprint: str | None) -> bool:
    """Take a letter into a spool on the disk again; False where it has to stay in its file."""
    letter = _parsed(line, fingerprint)
    if letter is None:
        return False
    kind, body = letter
    return pipeline.offer(head(kind, destination.encode()), body) and pipeline.spool.mode != MEMORY


def _parsed(line: bytes, fingerprint: str | None) -> tuple[bytes, bytes] | None:
    """Kind and body of a letter, the body byte for byte as the spool held it.

    None for a line that is not a letter, or that the destination of another fingerprint refused.
    """
    envelope, mark, tail = line.rstrip(b"\n").partition(_RECORD)
    try:
        fields = orjson.loads(envelope + b"}")
        kind = fields["kind"].encode()
        orjson.loads(tail[:-1])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None
    if not mark or kind == OPEN or kind not in KINDS:
        return None
    if fingerprint is not None and fields.get("fingerprint", fingerprint) != fingerprint:
        return None
    return kind, tail[:-1]


def _put_back(claimed: Path, left: list[bytes]) -> None:
    """Keep these lines in the file of their destination."""
    if left:
        path = claimed.with_name(f"{_stem(claimed)}.jsonl")
        with os.fdopen(OS_FILES.open_to_append(path), "ab") as file:
            file.writelines(left)
    claimed.unlink()
