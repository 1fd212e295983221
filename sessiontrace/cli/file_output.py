"""Writing the output of a command to a file.

Runs in the main thread. Invariant: only its owner can read the file, and a fault leaves it as it
was.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from sessiontrace.text.format import printable

__all__ = ["output_option", "write_file"]

output_option: Callable[[Any], Any] = click.option(
    "--output",
    "-o",
    metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, readable by its owner only. Default: stdout.",
)


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file; ``click.ClickException`` where the system refuses."""
    try:
        _write(path, chunks)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        name = printable(str(path))
        raise click.ClickException(f"{name} cannot be written: {reason}") from error


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    if path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as file:
            file.writelines(chunks)
        return
    path = Path(os.path.realpath(path))
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
