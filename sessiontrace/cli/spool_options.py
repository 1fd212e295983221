"""The argument that names a directory of spools, and a pipeline that delivers from it.

Invariant: a pipeline made here sends only to the destinations that the environment configures.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessiontrace.config import default_spool, resolve
from sessiontrace.model.destination import Destination
from sessiontrace.text.format import printable

if TYPE_CHECKING:
    from sessiontrace.pipeline import Pipeline

__all__ = ["SECONDS", "directory_argument", "pipeline_over", "root_of"]


class _Seconds(click.FloatRange):
    """A time of 0 seconds to a day."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):  # compares as neither too small nor too large
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds


SECONDS = _Seconds(0, 86_400)

directory_argument: Callable[[Any], Any] = click.argument(
    "directory", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]"
)


def root_of(directory: Path | None) -> Path:
    """The directory of all spools: ``directory``, or the default one.

    ClickException for another user's: its spools can neither be read nor delivered.
    """
    root = (directory or default_spool()).expanduser().absolute()
    try:
        owner = root.stat().st_uid
    except OSError:
        return root
    if hasattr(os, "geteuid") and owner != os.geteuid():
        raise click.ClickException(
            f"{printable(str(root))} belongs to another user (uid {owner}); run this command as "
            f"that user, or name the directory of your own spools"
        )
    return root


def pipeline_over(
    root: Path, adopt: dict[str, str] | None = None
) -> tuple[Pipeline, tuple[Destination, ...]]:
    """A pipeline with its spools under ``root``, and the environment's destinations.

    Raises ``ConfigError`` when the environment configures no destination.
    """
    from sessiontrace.pipeline import Pipeline

    destinations, options = resolve((), {"spool": root, "enabled": True})
    return (
        Pipeline(destinations, options, adopt=adopt),
        destinations,
    )
