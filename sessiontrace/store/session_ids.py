"""Ids of sessions: of the one that a text means, and of all that a query finds.

A text is an id, the application's own id, or how one of them begins.

Reads only, on the caller's thread. Invariant: an exact id wins over prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sessiontrace.model.ids import session_uuid
from sessiontrace.store.models import SessionQuery, StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.terms import Pattern, Term

__all__ = ["exact_session", "ids_for", "matching_ids"]


def exact_session(
    store: Store, text: str, limit: int = 10_000, *, first_chunks: bool = True
) -> StoredSession | None:
    """The session whose id this is, ours (in any case) or the application's own."""
    for session_id in dict.fromkeys((text, text.lower(), session_uuid(text))):
        stored = store.session(session_id, limit, first_chunks=first_chunks)
        if stored is not None:
            return stored
    return None


def ids_for(store: Store, text: str, most: int = 10) -> Sequence[str]:
    """Ids of sessions that begin with ``text``, or whose own id does; latest activity first."""
    if not text:
        return ()
    terms = (Term("id", patterns=(Pattern(text),)),)
    page = store.sessions(SessionQuery(terms=terms, limit=most))
    return [summary.session_id for summary in page.sessions]


def matching_ids(store: Store, query: SessionQuery) -> list[str]:
    """The ids of all sessions that a query finds, page by page."""
    ids: list[str] = []
    while True:
        page = store.sessions(query)
        ids += [summary.session_id for summary in page.sessions]
        if page.next is None:
            return ids
        query = attrs.evolve(query, after=page.next)
