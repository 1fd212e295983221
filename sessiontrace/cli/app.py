"""The commands that need the extra ``cli``, as one click group; ``serve`` is listed among them.

Invariant: what is wrong with the store or the spool becomes one line on stderr and status 1, never
a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sessiontrace.cli.commands import keys, store
from sessiontrace.cli.commands import serve as serving
from sessiontrace.cli.commands.doctor import doctor
from sessiontrace.cli.commands.export import export
from sessiontrace.cli.commands.import_humanloop import import_
from sessiontrace.cli.commands.sessions import sessions
from sessiontrace.cli.commands.spool import spool
from sessiontrace.cli.commands.tail import tail
from sessiontrace.model.errors import SessionTraceError

__all__ = ["run"]


def run(words: Sequence[str]) -> int:
    """Run the command that ``words`` name; the exit status."""
    try:
        # An Exit within comes back as what main returns, in this mode.
        status = root.main(args=list(words), prog_name="sessiontrace", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SessionTraceError as error:
        print(f"sessiontrace: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return 0
    return status if isinstance(status, int) else 0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sessiontrace")
def root() -> None:
    """Sessions of LLM applications: see them, and see what waits to be sent."""


@root.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Show the sessions of the local store in a browser."""
    raise click.exceptions.Exit(serving.run(arguments))


@root.command(name="keys", context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def keys_(arguments: tuple[str, ...]) -> None:
    """API keys for a server that others reach."""
    raise click.exceptions.Exit(keys.run(arguments))


@root.command(
    name="store", context_settings={"ignore_unknown_options": True}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def store_(arguments: tuple[str, ...]) -> None:
    """Make or migrate the tables of a store in ClickHouse."""
    raise click.exceptions.Exit(store.run(arguments))


root.add_command(sessions)
root.add_command(tail)
root.add_command(export)
root.add_command(spool)
root.add_command(import_)
root.add_command(doctor)
