"""Finding the step of a session that an argument ``STEP`` means.

Reads only. Invariant: a text that fits no step, or more than one, is an error that lists the steps
that it may mean.
"""

from __future__ import annotations

from sessiontrace.store.models import EventSummary, StoredSession
from sessiontrace.text.format import amount, printable
from sessiontrace.views.session_lookup import LookupFailedError
from sessiontrace.views.step import head_of

__all__ = ["FIRST_ERROR", "find_step"]

FIRST_ERROR = "error"
"""The word for the first step that failed, where no step has this name."""

_MOST_LISTED = 20


def find_step(stored: StoredSession, text: str) -> EventSummary:
    """The step of this id, name or number, or the only one whose id begins so.

    Raises ``LookupFailedError``.
    """
    word = text.lower()
    exact = [event for event in stored.events if word in (event.event_id, event.name.lower())]
    steps = exact or _by_word(stored, text)
    if not steps and len(text) >= 4:
        steps = [event for event in stored.events if event.event_id.startswith(word)]
    if len(steps) == 1:
        return steps[0]
    if not steps:
        raise LookupFailedError(
            f"no step has the name, the number or the id {printable(text, 60)!r}; steps are",
            _names(stored) or ["not recorded"],
            as_lines=False,
        )
    raise LookupFailedError(
        f"{amount(len(steps), 'step')} have the name {printable(text, 60)!r}; "
        "use the id at the end of a line",
        [head_of(event) for event in steps[:_MOST_LISTED]],
    )


def _by_word(stored: StoredSession, text: str) -> list[EventSummary]:
    """The step of a number, from 1 in order of their start, or the first that failed."""
    if text.isascii() and text.isdigit() and len(text) <= 6:
        return list(stored.events[int(text) - 1 : int(text)]) if int(text) else []
    if text == FIRST_ERROR:
        return [event for event in stored.events if event.error is not None][:1]
    return []


def _names(stored: StoredSession) -> list[str]:
    names = dict.fromkeys(printable(event.name, 40) for event in stored.events)
    return list(names)[:_MOST_LISTED]
