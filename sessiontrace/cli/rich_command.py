"""A command that draws its output with rich, which only the extra ``cli`` installs.

Invariant: the command's module imports rich inside functions, so that the command can be listed,
explained and completed without it.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import click

__all__ = ["EXTRA", "MissingExtraError", "RichCommand", "has_rich"]

EXTRA = "pip install 'sessiontrace[cli]'"


def has_rich() -> bool:
    """Whether rich is installed."""
    return importlib.util.find_spec("rich") is not None


class MissingExtraError(click.ClickException):
    """The command needs rich; exit status 2."""

    exit_code = 2


class RichCommand(click.Command):
    """A command that checks for rich first, save with ``--json`` or ``--for-agent``."""

    def invoke(self, ctx: click.Context) -> Any:
        draws = not ctx.params.get("as_json") and not ctx.params.get("for_agent")
        if draws and not has_rich():
            raise MissingExtraError(f"`{ctx.command_path}` needs the extra 'cli': {EXTRA}")
        return super().invoke(ctx)
