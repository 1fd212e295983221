"""``sessiontrace tail``: what programs write to the local store, one line for each step.

Reads only, a few times a second, until Ctrl-C. Invariant: each step is printed once, in the order
of its arrival, with its control characters escaped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import attrs
import click
import orjson

from sessiontrace.cli.query_options import QueryCommand, query_argument, terms_of
from sessiontrace.cli.render.console import stdout_console
from sessiontrace.cli.store_options import db_option, open_store
from sessiontrace.model.step_types import base_type
from sessiontrace.store.models import (
    ENDED,
    OPEN,
    Changes,
    EventSummary,
    SessionQuery,
    SessionSummary,
)
from sessiontrace.store.query.terms import Pattern, Term
from sessiontrace.text.format import amount, cost, duration, printable, when
from sessiontrace.views.session_lookup import find_session

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from sessiontrace.store.sqlite.store import SqliteStore

__all__ = ["command"]

_POLL_S = 0.2
_MOST_EARLIER = 2_000  # sessions of before, which a late step does not open or end again
_NAME_WIDTH = 40
_ERROR_WIDTH = 120
_ID_WIDTH = 13

_MARKS = {"model": ("◆", "magenta"), "tool": ("■", "cyan"), "chain": ("○", "blue")}


def _refuse_server(_context: click.Context, _option: click.Parameter, url: str | None) -> None:
    if url is not None:
        raise click.UsageError(
            "tail follows a store file, since ClickHouse does not say what is new; "
            "`sessiontrace serve --store URL` opens a page that follows its sessions, "
            "`sessiontrace sessions list --store URL` lists the latest"
        )


@click.command("tail", cls=QueryCommand)
@query_argument
@db_option
@click.option(
    "--session", "session_id", metavar="ID", help="Follow only this session (id or prefix)."
)
@click.option("--errors", is_flag=True, help="Only steps and sessions that failed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--store", expose_value=False, hidden=True, callback=_refuse_server)
def command(
    query: tuple[str, ...], db: Path | None, session_id: str | None, errors: bool, as_json: bool
) -> None:
    """Print sessions and steps as programs write them.

    Runs until Ctrl-C. QUERY: only sessions that fit, as in `sessions list`. A line has the time at
    which a session began, or a step or a session ended. Follows a store file; the page of
    `serve --store` follows a ClickHouse store.
    """
    terms_of(query, {})  # a fault in it is one before the store's
    with closing(open_store(db)) as store:
        only = find_session(store, session_id).summary.session_id if session_id else None
        printer = _JsonPrinter(errors, only) if as_json else _LinePrinter(errors, only)
        try:
            _follow(store, printer, query)
        except KeyboardInterrupt:
            return


def _follow(store: SqliteStore, printer: _Printer, query: tuple[str, ...]) -> None:
    changes = store.changes(None, 1 << 62)
    last, at = changes.last, time.time_ns() // 1_000_000
    earlier = store.sessions(SessionQuery(limit=_MOST_EARLIER)).sessions
    printer.statuses.update((session.session_id, session.status) for session in earlier)
    version = -1
    click.echo(f"following {printable(str(store.path))} (Ctrl-C to stop)", err=True)
    while True:
        # The version changes with each commit of another connection: without one, read nothing.
        if (current := store.version()) != version:
            version = current
            changes = store.changes(last, at)
            last, at = changes.last, max(at, changes.at)
            if query:
                changes = _fitting(store, changes, terms_of(query, {}))
            for line in sorted(printer.lines(changes), key=lambda line: line.at):
                line.print()
        time.sleep(_POLL_S)


def _fitting(store: SqliteStore, changes: Changes, terms: Sequence[Term]) -> Changes:
    """The changes of sessions that fit the query now."""
    ids = [session.session_id for session in changes.sessions]
    among = Term("among", patterns=[Pattern(session_id) for session_id in ids])
    page = store.sessions(SessionQuery(terms=(among, *terms), limit=max(1, len(ids))))
    fitting = {session.session_id for session in page.sessions} if ids else set()
    return attrs.evolve(
        changes,
        events=[event for event in changes.events if event.session_id in fitting],
        sessions=[session for session in changes.sessions if session.session_id in fitting],
    )


class _Line(NamedTuple):
    """Something to print, and the time (Unix ms) that it tells."""

    at: int
    print: Callable[[], None]


@attrs.define
class _Printer:
    """Prints each change once; ``statuses`` holds the status it printed last of each session."""

    errors: bool
    only: str | None
    statuses: dict[str, str] = attrs.field(factory=dict)

    def lines(self, changes: Changes) -> Iterator[_Line]:
        """What to print of the changes: beginnings, steps, ends."""
        for session in changes.sessions:
            yield from self._session(session, begins=True)
        for event in changes.events:
            if self.only in (None, event.session_id) and not (self.errors and event.error is None):
                at = event.start_time if event.end_time is None else event.end_time
                yield _Line(at, partial(self.print_event, event))
        for session in changes.sessions:
            yield from self._session(session, begins=False)

    def _session(self, session: SessionSummary, *, begins: bool) -> Iterator[_Line]:
        """That a session opened, or that it ended."""
        if self.only not in (None, session.session_id):
            return
        before = self.statuses.get(session.session_id)
        opens = before is None and session.status == OPEN
        ends = session.status not in (OPEN, before)
        if (begins and not opens) or (not begins and not ends):
            return
        self.statuses[session.session_id] = session.status
        if not self.errors or session.error is not None or session.errors > 0:
            at = session.start_time if begins else session.end_time
            yield _Line(at, partial(self.print_session, session, begins))

    def print_session(self, session: SessionSummary, begins: bool) -> None:
        raise NotImplementedError

    def print_event(self, event: EventSummary) -> None:
        raise NotImplementedError


class _JsonPrinter(_Printer):
    """One JSON object a line, for jq."""

    def print_session(self, session: SessionSummary, begins: bool) -> None:
        click.echo(orjson.dumps({"kind": "session", **session.as_json()}).decode())

    def print_event(self, event: EventSummary) -> None:
        click.echo(orjson.dumps({"kind": "event", **attrs.asdict(event)}).decode())


@attrs.define
class _LinePrinter(_Printer):
    """One coloured line for each change, for people."""

    console: Console = attrs.field(factory=stdout_console)

    def print_session(self, session: SessionSummary, begins: bool) -> None:
        mark = "▶" if begins else "▪"
        at = session.start_time if begins else session.end_time
        line = self._line(at, session.session_id, mark, "bold")
        line.append(printable(session.name or "unnamed session", _NAME_WIDTH), style="bold")
        if not begins:
            facts = [session.outcome, duration(session.duration), amount(session.events, "step")]
            if session.errors:
                facts.append(amount(session.errors, "error"))
            failed = session.error is not None or session.errors > 0
            line.append(f"  {' · '.join(facts)}", style="red" if failed else "green")
        self.console.print(line, soft_wrap=True)

    def print_event(self, event: EventSummary) -> None:
        mark, style = _MARKS.get(base_type(event.type), ("○", "default"))
        at = event.start_time if event.end_time is None else event.end_time
        line = self._line(at, event.session_id, mark, style)
        line.append(f"  {printable(event.name, _NAME_WIDTH)}")
        took = "running" if event.duration is None else duration(event.duration)
        line.append(f"  {took}", style="dim")
        if event.tokens:
            line.append(f"  {amount(event.tokens, 'token')}", style="dim")
        if money := cost(event.cost, event.unpriced, event.tokens):
            line.append(f"  {money}", style="dim")
        if event.status not in (ENDED, OPEN):
            line.append(f"  {event.status}", style="yellow")
        if event.error is not None:
            line.append(f"  ✗ {printable(event.error, _ERROR_WIDTH)}", style="red")
        self.console.print(line, soft_wrap=True)

    def _line(self, at: int, session_id: str, mark: str, style: str) -> Text:
        from rich.text import Text

        line = Text(f"{when(at)[11:]}  {printable(session_id[:_ID_WIDTH])}  ", style="dim")
        line.append(f"{mark} ", style=f"not dim {style}")
        return line
