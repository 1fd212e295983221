"""The words of a search as a condition on records, whose words are indexed.

No thread owns it; the caller passes the connection. Invariant: the last word is a prefix. The words
with this prefix come from the vocabulary, which holds each word once and in order, so that the
index looks up whole words only: to find them by prefix it would read every word that it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.search_text import words_of

__all__ = ["SearchTerms", "looked_for"]

_MOST_ENDINGS = 20_000

_ENDINGS = f"""
SELECT word FROM vocabulary
WHERE project = {{project:String}} AND word >= {{MARKfrom:String}} AND word < {{MARKto:String}}
GROUP BY word
LIMIT {_MOST_ENDINGS + 1}
"""
_ALL = "hasAllTokens(words, {MARKfull:Array(String)})"
_ANY = f"hasAnyTokens(words, (SELECT groupArray(word) FROM ({_ENDINGS})))"
_BEGINS = "position(words, {MARKbegins:String}) > 0"


@attrs.frozen
class SearchTerms:
    """A condition and the values that it names; ``scans`` when no index covers it."""

    condition: str
    values: Mapping[str, Any]
    scans: bool = False


def looked_for(
    connection: Connection, project: str, text: str, mark: str = ""
) -> SearchTerms | None:
    """A record holds all words of ``text``, the last as a prefix; None without a word.

    The names of the values begin with ``mark``.
    """
    words = [word.lower() for word in words_of(text)]
    if not words:
        return None
    *full, last = words
    values: dict[str, Any] = {f"{mark}from": last, f"{mark}to": last + "\U0010ffff"}
    count = f"SELECT count() FROM ({_ENDINGS})".replace("MARK", mark)
    endings = connection.query(Query(count, {**values, "project": project}))[0][0]
    if not endings:
        return SearchTerms("0", {})
    scans = endings > _MOST_ENDINGS
    parts = [_BEGINS if scans else _ANY]
    if scans:
        values = {f"{mark}begins": f" {last}"}
    if full:
        parts.append(_ALL)
        values[f"{mark}full"] = full
    condition = " AND ".join(parts).replace("MARK", mark)
    return SearchTerms(f"({condition})", values, scans and not full)
