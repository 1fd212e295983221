"""A span or a session as HTML in a notebook: what is in memory, and the steps that are stored.

Runs in the user's thread, when a notebook draws the handle. Invariant: never raises, and changes
nothing of the handle.
"""

from __future__ import annotations

from sessiontrace.capture.handle import STATE_NAMES, Handle
from sessiontrace.text.html_tree import TreeRow, html_or_none, tree_html

__all__ = ["handle_html"]

_LATER = "its steps are here once the local store has them"


def handle_html(handle: Handle) -> str | None:
    """The handle's name, state and id; of a session that the local store has, its tree too."""
    return html_or_none(lambda: _html(handle))


def _html(handle: Handle) -> str:
    notes = [handle.type, STATE_NAMES[handle.state], handle.event_id]
    read = handle.recorder.stored_steps if handle.type == "session" else None
    stored = None
    if read is not None and handle.state:
        stored = read(handle.session.session_id)
    if stored is None:
        note = _LATER if read is not None else ""
        return tree_html(TreeRow(0, handle.name, " · ".join(notes)), [], note=note)
    facts, rows, omitted = stored
    return tree_html(TreeRow(0, handle.name, " · ".join([*notes, facts])), rows, omitted)
