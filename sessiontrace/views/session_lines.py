"""Sessions as lines of JSON: a whole session on each line.

Reads only. Invariant: a line has the records of all steps that the session's page shows, and its
judgements.
"""

from __future__ import annotations

from sessiontrace.model.json_depth import encode
from sessiontrace.store.protocol import Store
from sessiontrace.views.session_lookup import with_records

__all__ = ["line_of"]


def line_of(store: Store, session_id: str) -> bytes | None:
    """The line of a session, with its line break; None where the store has none of this id."""
    stored = store.session(session_id)
    return None if stored is None else encode(with_records(store, stored)) + b"\n"
