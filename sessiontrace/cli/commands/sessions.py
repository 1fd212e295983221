"""``sessiontrace sessions list`` and ``sessions show``: the local store in the terminal.

Reads only, and makes no file. Invariant: what is printed for people has its control characters
escaped; what is printed with ``--json`` is JSON, whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import click
import orjson
from rich.table import Table
from rich.text import Text

from sessiontrace.cli.render.format import duration, printable, short_ids, terminal, when
from sessiontrace.cli.render.tree import render_session
from sessiontrace.cli.store_options import db_option, find_session, open_store, whole
from sessiontrace.store.models import ENDED, SessionQuery, SessionSummary

__all__ = ["sessions"]

_NAME_WIDTH = 48
_USER_WIDTH = 24

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def sessions() -> None:
    """List the sessions of the local store, or show one as a tree."""


@sessions.command("list")
@db_option
@_json_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--errors", is_flag=True, help="Only sessions with an error.")
@click.option("--text", default="", help="Only with this text in name, user or source.")
def list_sessions(db: Path | None, as_json: bool, limit: int, errors: bool, text: str) -> None:
    """List sessions, latest first."""
    with closing(open_store(db)) as store:
        page = store.sessions(SessionQuery(text=text, failed=errors, limit=limit))
    if as_json:
        _print_json([attrs.asdict(one) for one in page.sessions])
        return
    if not page.sessions:
        click.echo("no sessions match" if errors or text else "no sessions yet", err=True)
        return
    console = terminal()
    console.print(_table(page.sessions))
    if page.next is not None:
        console.print(f"only the latest {limit}; --limit shows more", style="dim")


@sessions.command("show")
@click.argument("session_id", metavar="ID")
@db_option
@_json_option
def show_session(session_id: str, db: Path | None, as_json: bool) -> None:
    """Show one session as a tree.

    ID may be cut short while it fits one session only; "last" is the latest one.
    """
    with closing(open_store(db)) as store:
        stored = find_session(store, session_id)
        if as_json:
            _print_json(whole(store, stored))
            return
    console = terminal()
    where = printable(str(store.path))
    console.print(f"session {stored.summary.session_id} in {where}", style="dim", soft_wrap=True)
    console.print(render_session(stored))


def _table(found: Sequence[SessionSummary]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title, right in (
        ("ID", False), ("NAME", False), ("USER", False), ("STARTED", False), ("DURATION", True),
        ("STEPS", True), ("ERRORS", True), ("STATUS", False),
    ):  # fmt: skip
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    ids = short_ids([one.session_id for one in found])
    for one in found:
        failed = one.errors > 0 or one.error is not None
        table.add_row(
            ids[one.session_id],
            Text(printable(one.name or "unnamed session", _NAME_WIDTH), style="bold"),
            Text(printable(one.user or "", _USER_WIDTH)),
            when(one.start_time),
            duration(one.duration),
            f"{one.events:,}",
            Text(f"{one.errors:,}" if one.errors else "-", style="red" if failed else "dim"),
            Text(*_status(one, failed)),
        )
    return table


def _status(one: SessionSummary, failed: bool) -> tuple[str, str]:
    if one.status != ENDED:
        return one.status, "yellow"
    return ("failed", "red") if one.error is not None else ("ended", "red" if failed else "green")


def _print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
