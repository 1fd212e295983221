"""``sessiontrace sessions list`` and ``sessions show``: the local store in the terminal.

Reads only, and creates no file. Invariant: output for people has its control characters escaped;
the output of ``--json`` is whole JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click
import orjson

from sessiontrace.cli.render.console import stdout_console, table
from sessiontrace.cli.render.format import cost, duration, printable, short_ids, when
from sessiontrace.cli.render.tree import render_session
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.session_lookup import find_session, with_records
from sessiontrace.cli.store_options import db_option, open_store
from sessiontrace.model.json_depth import encode
from sessiontrace.store.models import ENDED, SessionQuery, SessionSummary

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["command"]

_NAME_WIDTH = 48
_USER_WIDTH = 24

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("sessions")
def command() -> None:
    """List stored sessions, or show one as a tree."""


@command.command("list", cls=RichCommand)
@db_option
@_json_option
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="The most sessions to list.",
)
@click.option("--errors", is_flag=True, help="Only sessions with an error.")
@click.option(
    "--text",
    metavar="TEXT",
    default="",
    help="Only sessions with this text in name, user, source or content.",
)
def list_sessions(db: Path | None, as_json: bool, limit: int, errors: bool, text: str) -> None:
    """List sessions, latest first."""
    with closing(open_store(db)) as store:
        page = store.sessions(SessionQuery(text=text, failed=errors, limit=limit))
    if as_json:
        _print_json([attrs.asdict(summary) for summary in page.sessions])
        return
    if not page.sessions:
        click.echo("no sessions match" if errors or text else "no sessions yet", err=True)
        return
    console = stdout_console()
    console.print(_table_of(page.sessions))
    if page.next is not None:
        console.print(f"only the latest {limit}; --limit lists more", style="dim")


@command.command("show", cls=RichCommand)
@click.argument("session_id", metavar="ID")
@db_option
@_json_option
def show_session(session_id: str, db: Path | None, as_json: bool) -> None:
    """Show one session as a tree.

    ID: any unambiguous prefix of the session's id, or "last" for the latest session.
    """
    with closing(open_store(db)) as store:
        stored = find_session(store, session_id)
        if as_json:
            _print_json(with_records(store, stored))
            return
    console = stdout_console()
    path = printable(str(store.path))
    console.print(f"session {stored.summary.session_id} in {path}", style="dim", soft_wrap=True)
    console.print(render_session(stored))


def _table_of(sessions: Sequence[SessionSummary]) -> Table:
    from rich.text import Text

    grid = table(
        "ID", "NAME", "USER", "STARTED", "DURATION", "STEPS", "ERRORS", "TOKENS", "COST",
        "STATUS", right=frozenset({"DURATION", "STEPS", "ERRORS", "TOKENS", "COST"}),
    )  # fmt: skip
    ids = short_ids([session.session_id for session in sessions])
    for session in sessions:
        failed = session.errors > 0 or session.error is not None
        errors = f"{session.errors:,}" if session.errors else "-"
        grid.add_row(
            ids[session.session_id],
            Text(printable(session.name or "unnamed session", _NAME_WIDTH), style="bold"),
            Text(printable(session.user or "", _USER_WIDTH)),
            when(session.start_time),
            duration(session.duration),
            f"{session.events:,}",
            Text(errors, style="red" if failed else "dim"),
            f"{session.tokens:,}" if session.tokens else "-",
            cost(session.cost, session.unpriced, session.tokens) or "-",
            Text(*_status(session, failed)),
        )
    return grid


def _status(session: SessionSummary, failed: bool) -> tuple[str, str]:
    """The word for the session's status, and its colour."""
    if session.status != ENDED:
        return session.status, "yellow"
    if session.error is not None:
        return "failed", "red"
    return "ended", "red" if failed else "green"


def _print_json(value: Any) -> None:
    click.echo(encode(value, orjson.OPT_INDENT_2).decode())
