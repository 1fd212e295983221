"""The command line as one click group, which imports a command's module when it runs the command.

Runs in the main thread. Invariant: an expected fault (of the command line, the configuration, the
store or the spool) is a message on stderr and an exit status, never a traceback.
"""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from sessiontrace.cli.rich_command import EXTRA, has_rich
from sessiontrace.model.errors import SessionTraceError
from sessiontrace.runtime.version import version
from sessiontrace.text.format import printable

__all__ = ["COMMANDS", "CommandGroup", "root", "run"]


class _Entry(NamedTuple):
    """A command: its module in ``commands``, whose ``command`` it is, and its line in the list."""

    module: str
    summary: str


COMMANDS: Mapping[str, _Entry] = {
    "serve": _Entry("serve", "Show the sessions of a store in a browser"),
    "run": _Entry("run", "Run a program with its model calls traced"),
    "sessions": _Entry(
        "sessions", "List stored sessions, show one as a tree, judge, export or delete some"
    ),
    "tail": _Entry("tail", "Print sessions and steps as programs write them"),
    "mcp": _Entry("mcp", "Let coding agents read the stored sessions over MCP"),
    "export": _Entry("export", "Write one session as JSON, OTLP or HTML"),
    "import": _Entry("import_humanloop", "Import sessions from another product"),
    "spool": _Entry("spool", "Show, send or discard records waiting on this machine"),
    "doctor": _Entry("doctor", "Check destinations, spool and installation"),
    "keys": _Entry("keys", "Manage the API keys of a server"),
    "store": _Entry("store", "Create or migrate the tables of a ClickHouse store"),
}
"""In the order of the list. A summary repeats the first line of the command's help, so that the
list of commands and its completion import no command."""


@contextmanager
def _closed_pipe_ends_it() -> Iterator[None]:
    """A reader that has read enough, as ``| head`` does, ends the command; click would fail it."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        raise click.exceptions.Exit(0) from error


class CommandGroup(click.Group):
    """The group of all commands."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _closed_pipe_ends_it():  # an option may print, as --help does
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _closed_pipe_ends_it():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sessiontrace.cli.commands.{COMMANDS[cmd_name].module}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not has_rich():
            formatter.write_paragraph()
            formatter.write_text(f"Tables and trees in the terminal need rich: {EXTRA}")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


def _print_version(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"sessiontrace {version()}")
        context.exit()


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def root() -> None:
    """Sessions of LLM applications: show, export and deliver them.

    `sessiontrace COMMAND --help` explains a command.
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name; returns the exit status."""
    try:
        # In this mode click returns the status of an Exit that a command raises.
        status = root.main(args=list(arguments), prog_name="sessiontrace", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SessionTraceError as error:
        click.ClickException(str(error)).show()
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        click.ClickException(_explained(error)).show()
        return 1
    except UnicodeError:
        click.ClickException("an argument or a path is not valid UTF-8").show()
        return 2
    except Exception as error:
        if sys.flags.dev_mode:  # python -X dev -m sessiontrace
            raise
        text = printable(f"{type(error).__name__}: {error}", 200)
        click.ClickException(f"internal error: {text}; `python -X dev` shows where").show()
        return 70
    return status if isinstance(status, int) else 0


def _explained(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{printable(str(error.filename))}: {reason}"
