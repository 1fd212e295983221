"""The page's API: how long the store keeps sessions, and what another rule would delete.

Runs on the server's loop; counting and changing run on the writer thread. Invariants: a rule is
changed only with the number of sessions that it deletes, as the reader has just been shown it; each
change and each deletion is in the log, and what was deleted is counted by day.

GET  /api/retention      {rule, database_days, stored, stored_bytes, media, deletions, may_change}
GET  /api/retention/preview?days=&most_bytes=   {sessions, aged, excess, oldest, newest}
POST /api/retention                {days, most_bytes, expect} -> as GET; 409 where more would go

``days`` and ``most_bytes`` are numbers above 0, or null for no limit.
"""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from sessiontrace.runtime.log import logger
from sessiontrace.server.http import (
    RequestRejected,
    error_response,
    json_response,
    read_json,
    with_vendor_errors,
)
from sessiontrace.server.security.request_context import MAY_SCORE
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store import retention
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.protocol import Store
from sessiontrace.store.retention import Retention

__all__ = ["routes"]

_DAYS_MOST = 36_500
_BYTES_LEAST = 1 << 20
_BYTES_MOST = 1 << 50
_INFO, _WARNING = 20, 30  # as in logging
_SMALL = 0.01  # of the sessions, and at least 5: what may grow old while a reader looks


def routes(writer: StoreWriter, limits: MediaLimits | None) -> list[web.RouteDef]:
    """The routes over one store; ``limits``: of its media, None where it takes none in."""

    async def show(request: web.Request) -> web.Response:
        state = await writer.run(lambda store: _state(store, limits))
        return json_response({**state, "may_change": MAY_SCORE.get() and state["rule"] is not None})

    async def preview(request: web.Request) -> web.Response:
        rule = _rule({name: _parsed(request.query.get(name)) for name in ("days", "most_bytes")})
        overdue = await writer.run(lambda store: retention.overdue(store, rule))
        return json_response({**attrs.asdict(overdue), "sessions": overdue.sessions})

    async def change(request: web.Request) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or not isinstance(body.get("expect"), int):
            raise RequestRejected(400, "expect must be the number of sessions that will be deleted")
        rule, expected = _rule(body), int(body["expect"])
        await writer.run(lambda store: _change(store, rule, expected))
        return await show(request)

    return [
        web.get("/api/retention", with_vendor_errors(show, error_response)),
        web.get("/api/retention/preview", with_vendor_errors(preview, error_response)),
        web.post("/api/retention", with_vendor_errors(change, error_response)),
    ]


def _state(store: Store, limits: MediaLimits | None) -> dict[str, Any]:
    database_days = store.database_days()
    rule = retention.agreed(store) if database_days is None else None
    overdue = store.overdue(None, None)
    count, size = store.media_size()
    return {
        "rule": None if rule is None else attrs.asdict(rule),
        "database_days": database_days,
        "stored": overdue.stored,
        "stored_bytes": overdue.stored_bytes,
        "media": {
            "count": count,
            "bytes": size,
            "limits": None if limits is None else attrs.asdict(limits),
        },
        "deletions": retention.deletions(store),
    }


def _change(store: Store, rule: Retention, expected: int) -> None:
    if store.database_days() is not None:
        raise RequestRejected(
            409,
            "this database deletes by the TTL of its tables; docs/scaling.md says how to set it",
        )
    overdue = retention.overdue(store, rule)
    if overdue.sessions > expected + max(5, overdue.stored * _SMALL):
        raise RequestRejected(
            409, f"this rule would delete {overdue.sessions} sessions now, not {expected}"
        )
    before = retention.agreed(store)
    retention.agree(store, rule)
    logger().log(
        _WARNING if overdue.sessions else _INFO,
        "retention was changed on the page from %s to %s: %d sessions are beyond it",
        _words(before), _words(rule), overdue.sessions,
    )  # fmt: skip


def _words(rule: Retention | None) -> str:
    days = None if rule is None else rule.days
    most = None if rule is None else rule.most_bytes
    age = "any age" if days is None else f"{days:g} days"
    return f"{age} and {'any size' if most is None else f'{most >> 20} MiB'}"


def _parsed(text: str | None) -> float | None:
    """A number of the query; without it there is no limit."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise RequestRejected(400, "days and most_bytes must be numbers, or empty") from None


def _rule(fields: dict[str, Any]) -> Retention:
    days, most = fields.get("days"), fields.get("most_bytes")
    if days is not None and not (_is_number(days) and 0 < days <= _DAYS_MOST):
        raise RequestRejected(400, f"days must be above 0 and at most {_DAYS_MOST}, or null")
    if most is not None and not (_is_number(most) and _BYTES_LEAST <= most <= _BYTES_MOST):
        raise RequestRejected(400, f"most_bytes must be at least {_BYTES_LEAST}, or null")
    return Retention(None if days is None else float(days), None if most is None else int(most))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
