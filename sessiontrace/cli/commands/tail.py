"""``sessiontrace tail``: what programs write to the local store, a line for each step as it comes.

Reads only, a few times a second, until Ctrl-C. Invariant: each step is printed once, in the order
it came, with its control characters escaped.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import attrs
import click
import orjson
from rich.console import Console
from rich.text import Text

from sessiontrace.cli.render.format import amount, duration, printable, terminal, when
from sessiontrace.cli.store_options import db_option, find_session, open_store
from sessiontrace.store.models import ENDED, OPEN, EventSummary, SessionSummary
from sessiontrace.store.sqlite.store import SqliteStore

__all__ = ["tail"]

_LOOK_S = 0.2
_NAME_WIDTH = 40
_ERROR_WIDTH = 120
_SHORT = 13

_MARKS = {"model": ("◆", "magenta"), "tool": ("■", "cyan"), "chain": ("○", "blue")}


@click.command()
@db_option
@click.option("--session", "session_id", metavar="ID", help="Only this one; its start will do.")
@click.option("--errors", is_flag=True, help="Only steps and sessions that failed.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each line.")
def tail(db: Path | None, session_id: str | None, errors: bool, as_json: bool) -> None:
    """Print sessions and steps as they are written, until Ctrl-C."""
    with closing(open_store(db)) as store:
        only = find_session(store, session_id).summary.session_id if session_id else None
        shown = _Shown(terminal(), as_json, errors, only)
        try:
            _follow(store, shown)
        except KeyboardInterrupt:
            return


def _follow(store: SqliteStore, shown: _Shown) -> None:
    news = store.news(None, 1 << 62)
    last, at = news.last, time.time_ns() // 1_000_000
    version = -1
    click.echo(f"following {printable(str(store.path))} (Ctrl-C ends)", err=True)
    while True:
        # The number changes with a commit of somebody's; without one there is nothing to read.
        if (now := store.version()) != version:
            version = now
            news = store.news(last, at)
            last, at = news.last, max(at, news.at)
            for session in news.sessions:
                shown.session(session, begins=True)
            for event in news.events:
                shown.event(event)
            for session in news.sessions:
                shown.session(session, begins=False)
        time.sleep(_LOOK_S)


@attrs.define
class _Shown:
    """What is printed, and of which sessions what was said already."""

    console: Console
    as_json: bool
    errors: bool
    only: str | None
    sessions_known: dict[str, str] = attrs.field(factory=dict)  # the status last told of a session

    def session(self, one: SessionSummary, *, begins: bool) -> None:
        """A session that opened, or one that ended."""
        if self.only not in (None, one.session_id):
            return
        before = self.sessions_known.get(one.session_id)
        opens = before is None and one.status == OPEN
        ends = one.status != OPEN and before != one.status
        if (begins and not opens) or (not begins and not ends):
            return
        self.sessions_known[one.session_id] = one.status
        failed = one.error is not None or one.errors > 0
        if self.errors and not failed:
            return
        if self.as_json:
            self._json({"kind": "session", **attrs.asdict(one)})
            return
        line = self._line(one.start_time, one.session_id, "▶" if begins else "▪", "bold")
        line.append(printable(one.name or "unnamed session", _NAME_WIDTH), style="bold")
        if not begins:
            state = "failed" if one.error is not None else one.status
            facts = [state, duration(one.duration), amount(one.events, "step")]
            if one.errors:
                facts.append(amount(one.errors, "error"))
            line.append(f"  {' · '.join(facts)}", style="red" if failed else "green")
        self.console.print(line, soft_wrap=True)

    def event(self, one: EventSummary) -> None:
        """A step."""
        if self.only not in (None, one.session_id) or (self.errors and one.error is None):
            return
        if self.as_json:
            self._json({"kind": "event", **attrs.asdict(one)})
            return
        mark, style = _MARKS.get(one.type, ("○", "default"))
        line = self._line(one.start_time, one.session_id, mark, style)
        line.append(f"  {printable(one.name, _NAME_WIDTH)}")
        took = "running" if one.duration is None else duration(one.duration)
        line.append(f"  {took}", style="dim")
        if one.tokens:
            line.append(f"  {amount(one.tokens, 'token')}", style="dim")
        if one.status not in (ENDED, OPEN):
            line.append(f"  {one.status}", style="yellow")
        if one.error is not None:
            line.append(f"  ✗ {printable(one.error, _ERROR_WIDTH)}", style="red")
        self.console.print(line, soft_wrap=True)

    def _line(self, at: int, session_id: str, mark: str, style: str) -> Text:
        line = Text(f"{when(at)[11:]}  {printable(session_id[:_SHORT])}  ", style="dim")
        line.append(f"{mark} ", style=f"not dim {style}")
        return line

    def _json(self, value: dict[str, object]) -> None:
        click.echo(orjson.dumps(value).decode())
