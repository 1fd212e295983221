"""``sessiontrace sessions list`` and ``sessions show``: the local store in the terminal.

Both read only, and create no file. Invariant: output for people has its control characters escaped;
the output of ``--json`` is whole JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from sessiontrace.cli.agent_options import (
    agent_text,
    budget_option,
    for_agent_option,
    start_option,
)
from sessiontrace.cli.commands import delete_sessions, export_sessions, judge_session
from sessiontrace.cli.query_options import QueryCommand, filter_options, query_argument, terms_of
from sessiontrace.cli.render.console import stdout_console
from sessiontrace.cli.render.session_table import lines_of
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.cli.store_options import (
    db_option,
    name_of,
    project_option,
    reading_store,
    url_option,
)
from sessiontrace.model.fields import PAYLOADS
from sessiontrace.model.json_depth import encode
from sessiontrace.store.models import ORDERS, EventSummary, SessionQuery, StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.text.format import printable
from sessiontrace.views.session_lookup import find_session, with_records
from sessiontrace.views.step import field_lines, head_of
from sessiontrace.views.step_lookup import find_step
from sessiontrace.views.tree import render_session

__all__ = ["command"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("sessions")
def command() -> None:
    """List stored sessions, show one as a tree, judge, export or delete some."""


command.add_command(delete_sessions.command)
command.add_command(export_sessions.command)
command.add_command(judge_session.command)


@command.command("list", cls=QueryCommand)
@query_argument
@filter_options
@click.option(
    "--sort",
    metavar="COLUMN",
    type=click.Choice(ORDERS),
    default=ORDERS[0],
    show_default=True,
    help=f"Order of the list, the greatest or latest first: {', '.join(ORDERS)}.",
)
@click.option("--reverse", is_flag=True, help="The smallest or earliest first.")
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
    help="Only sessions with this text in name, user, source, tags, metadata or content.",
)
@db_option
@url_option
@project_option
@_json_option
def list_sessions(
    query: tuple[str, ...],
    db: Path | None,
    url: str | None,
    project: str,
    as_json: bool,
    limit: int,
    errors: bool,
    text: str,
    sort: str,
    reverse: bool,
    **filters: Any,
) -> None:
    """List sessions, latest activity first.

    QUERY: filters and text, such as user:ada 'cost:>0.1' tag:vip -status:failed 'free text'. Quote
    a filter with > or < for the shell.
    """
    terms = terms_of(query, filters)
    request = SessionQuery(
        text=text, terms=terms, failed=errors, limit=limit, order=sort, ascending=reverse
    )
    with reading_store(db, url, project) as store:
        page = store.sessions(request)
    if as_json:
        _print_json([summary.as_json() for summary in page.sessions])
        return
    if not page.sessions:
        narrowed = bool(terms or errors or text)
        click.echo("no sessions match" if narrowed else "no sessions yet", err=True)
        raise click.exceptions.Exit(1 if narrowed else 0)
    console = stdout_console()
    for line in lines_of(page.sessions, console.width):
        console.print(line, soft_wrap=True)
    if page.next is not None:
        console.print(f"only the first {limit}; --limit lists more", style="dim")


@command.command("show", cls=RichCommand)
@click.argument("session_id", metavar="ID")
@click.argument("step", metavar="[STEP]", required=False)
@click.option("--io", "only_io", is_flag=True, help="Print inputs and outputs, in full.")
@for_agent_option
@budget_option
@start_option
@db_option
@url_option
@project_option
@_json_option
def show_session(
    session_id: str,
    step: str | None,
    only_io: bool,
    for_agent: bool,
    budget: int,
    start: int | None,
    db: Path | None,
    url: str | None,
    project: str,
    as_json: bool,
) -> None:
    """Show one session as a tree, or one of its steps.

    ID: the session's id, your application's own id for it, an unambiguous prefix of one of them, or
    "last" for the session that was active last. STEP: the step's name, its number in the order of
    start, a prefix of its id, or "error" for the first that failed. With --io and no STEP, inputs
    and outputs of the session and of all its steps.
    """
    if for_agent and (only_io or as_json):
        raise click.UsageError("--for-agent excludes --io and --json: use one of them")
    if start is not None and not for_agent:
        raise click.UsageError("--from needs --for-agent")
    with reading_store(db, url, project) as store:
        if for_agent:
            click.echo(agent_text(store, session_id, step, budget, start), nl=False)
            return
        stored = find_session(store, session_id)
        if step is not None:
            event = find_step(stored, step)
            record = store.event(event.event_id) or {}
            _print_step(event, record, only_io=only_io, as_json=as_json)
        elif as_json:
            _print_json(with_records(store, stored))
        else:
            _print_tree(store, stored, name_of(db, url), only_io=only_io)


def _print_tree(store: Store, stored: StoredSession, place: str, *, only_io: bool) -> None:
    console = stdout_console()
    title = f"session {printable(stored.summary.session_id)} in {printable(place)}"
    console.print(title, style="dim", soft_wrap=True, markup=False)
    console.print(render_session(stored))
    if not only_io:
        return
    for line in field_lines(stored.record, only_io=True):
        click.echo(line)
    for event in stored.events:
        click.echo()
        record = store.event(event.event_id) or {}
        _print_step(event, record, only_io=True, as_json=False)


def _print_step(
    event: EventSummary, record: Mapping[str, Any], *, only_io: bool, as_json: bool
) -> None:
    if as_json:
        values = {name: record.get(name) for name in PAYLOADS} if only_io else record
        _print_json(values)
        return
    click.echo(head_of(event))
    for line in field_lines(record, only_io=only_io):
        click.echo(line)


def _print_json(value: Any) -> None:
    click.echo(encode(value, orjson.OPT_INDENT_2).decode())
