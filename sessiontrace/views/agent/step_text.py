"""One step for a coding agent: its facts and everything that was recorded, page by page.

Pure over a record. Invariant: the pages of a step, put together, are the whole record; a page that
is not the last says where the next one begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.store.models import EventSummary, StoredSession
from sessiontrace.views.agent.facts import moment, session_line, step_line
from sessiontrace.views.agent.hints import Hints
from sessiontrace.views.agent.page import Page, size_of
from sessiontrace.views.agent.recorded import Marks, bare_id
from sessiontrace.views.step import field_lines

__all__ = ["step_text"]


def step_text(
    stored: StoredSession,
    event: EventSummary,
    record: Mapping[str, Any],
    tokens: int,
    hints: Hints,
    offset: int = 0,
) -> str:
    """The step's line and its record from the character ``offset`` on."""
    number = stored.events.index(event) + 1
    marks, page = Marks(), Page(tokens, reserve=300)
    page.add(marks.warning)
    page.add(session_line(stored.summary, 40))
    page.add(step_line(event, number))
    page.add(f"step id {bare_id(event.event_id)} · started {moment(event.start_time)}")
    text = "\n".join(field_lines({**record, "error": None}))
    offset = max(0, min(offset, len(text)))
    room = max(0, page.room - size_of(marks.block([])) - 1)
    part = text[offset : offset + room].encode(errors="replace")[:room].decode(errors="ignore")
    if not text:
        page.add("nothing else was recorded")
    elif part:
        page.add(*marks.block(part.split("\n")))
    end = offset + len(part)
    notes = []
    if end < len(text):
        following = hints.step(stored.summary.session_id, number, end)
        notes.append(f"[Characters {offset:,} to {end:,} of {len(text):,}. Next: {following}]")
    elif offset:
        notes.append(f"[Characters {offset:,} to {end:,} of {len(text):,}, the end.]")
    return page.finish(*notes)
