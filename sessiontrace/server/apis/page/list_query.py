"""Which sessions a request of the page asks for: its parameters as a query, and what it may ask.

Pure, but for ``filters``, which reads a store. Invariant: numbers are checked and clamped, and a
query that cannot be understood is a 400 that marks its fault.

q          a query in the query language of ``store.query``
tz         minutes that the reader's clock is ahead of UTC, for the dates of q; default 0
errors=1   only sessions with an error of their own or of a step
since, until   bounds of the last activity, Unix ms, until exclusive
sort, dir  one of ``ORDERS``, default "active"; "asc" or "desc", the default
limit, after   the size of a page, at most 500, and the ``next`` of the page before
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import Any

import attrs
import orjson
from aiohttp import web

from sessiontrace.server.http import RequestRejected, json_response
from sessiontrace.store.models import ORDERS, Cursor, SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.query.fields import FIELDS, STATUSES
from sessiontrace.store.query.parser import QuerySyntaxError, parse

__all__ = ["filters", "session_query", "syntax_response", "zone_of"]

_MOST_LISTED = 500
_MOST_VALUES = 50  # of one key
_DAY_MINUTES = 24 * 60
_TEXT_ORDERS = frozenset({"name", "user", "source", "status"})


def session_query(parameters: Mapping[str, str]) -> SessionQuery | QuerySyntaxError:
    """The query of a request; raises ``RequestRejected`` for what no page sends."""
    order = parameters.get("sort") or ORDERS[0]
    if order not in ORDERS:
        raise RequestRejected(400, f"sort must be one of {', '.join(ORDERS)}")
    try:
        terms = parse(parameters.get("q", ""), time.time_ns() // 1_000_000, zone_of(parameters))
    except QuerySyntaxError as error:
        return error
    return SessionQuery(
        terms=terms,
        failed=parameters.get("errors") == "1",
        since=_moment(parameters, "since"),
        until=_moment(parameters, "until"),
        order=order,
        ascending=parameters.get("dir") == "asc",
        limit=max(1, min(_moment(parameters, "limit") or 50, _MOST_LISTED)),
        after=_cursor(parameters.get("after"), order),
    )


def syntax_response(error: QuerySyntaxError, side: str = "") -> web.Response:
    """What the search field shows: the reason, the place of the fault, and a query that works.

    ``side``: which of several queries it is about.
    """
    body = {
        "error": f"{side}: {error.reason}" if side else error.reason,
        "position": error.position,
        "length": error.length,
        "suggestion": error.suggestion,
    }
    return json_response(body, 400)


def filters(store: Store) -> dict[str, Any]:
    """The keys of the query language, and the values that the latest sessions have, with counts."""
    counts = store.filter_values()
    values = {key: sorted(own.items(), key=_by_count)[:_MOST_VALUES] for key, own in counts.items()}
    values["reviewed"] = [("no", 0), *map(_reviewer, values.get("reviewed", ()))]
    values["status"] = [(status, 0) for status in dict.fromkeys(STATUSES.values())]
    return {"keys": [attrs.asdict(field) for field in FIELDS], "values": values}


def _reviewer(item: tuple[str, int]) -> tuple[str, int]:
    """The value as a query writes it: a reviewer's name without the word before it."""
    return item[0].removeprefix("by "), item[1]


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def zone_of(parameters: Mapping[str, str]) -> timezone:
    """The zone of a request, from its ``tz``; UTC where it is missing or not a number."""
    text = parameters.get("tz", "")
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 4:
        return timezone.utc
    return timezone(timedelta(minutes=max(-_DAY_MINUTES + 1, min(int(text), _DAY_MINUTES - 1))))


def _moment(parameters: Mapping[str, str], name: str) -> int | None:
    text = parameters.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise RequestRejected(400, f"{name} must be a whole number")
    return int(text)


def _cursor(text: str | None, order: str) -> Cursor | None:
    if not text:
        return None
    try:
        value, session_id = orjson.loads(text)
    except (ValueError, TypeError):
        value = session_id = None
    kinds: tuple[type, ...] = (str,) if order in _TEXT_ORDERS else (int, float)
    if type(value) not in kinds or not isinstance(session_id, str):
        raise RequestRejected(400, "after must be the `next` of an earlier answer")
    return (value, session_id)
