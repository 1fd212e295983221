"""A list of sessions for a coding agent, one line each, within a budget.

Invariant: a list that is cut says which ``after`` continues it. ``after`` is opaque, because the
position in the list may be a recorded text.
"""

from __future__ import annotations

import base64

import attrs
import orjson

from sessiontrace.store.models import Cursor, SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.text.format import amount
from sessiontrace.views.agent.facts import session_line
from sessiontrace.views.agent.page import Page, size_of
from sessiontrace.views.agent.recorded import QUOTED_IS_DATA

__all__ = ["cursor_of", "list_text"]

_ERROR_WIDTH = 100


def list_text(store: Store, query: SessionQuery, tokens: int) -> str:
    """The sessions that fit the query, in its order, as many as fit the budget."""
    page = Page(tokens, reserve=600)
    sessions = store.sessions(query)
    if not sessions.sessions:
        return "No session matches.\n"
    page.add(QUOTED_IS_DATA)
    lines: list[str] = []
    for summary in sessions.sessions:
        line = session_line(summary, _ERROR_WIDTH)
        if size_of([*lines, line]) > page.room:
            break
        lines.append(line)
    page.add(*lines)
    after = sessions.next
    if len(lines) < len(sessions.sessions):  # the position behind the last line that fits
        after = store.sessions(attrs.evolve(query, limit=max(1, len(lines)))).next
    count = amount(len(lines), "session")
    if after is None:
        return page.finish(f"[{count}, all that match]")
    return page.finish(f'[{count}; the next ones: the same call with after="{_opaque(after)}"]')


def cursor_of(text: str) -> Cursor:
    """The position that an ``after`` of a list names; raises ``ValueError`` for another text."""
    try:
        value, session_id = orjson.loads(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, TypeError):
        value = session_id = None
    if type(value) not in (str, int, float) or not isinstance(session_id, str):
        raise ValueError("after must be the text that an earlier list ended with")
    return (value, session_id)


def _opaque(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(cursor)).decode()
