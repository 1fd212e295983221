"""Reading scores over Langfuse's HTTP API.

Runs on the server's loop; the store is read on threads of its own. Source: "Scores" in Langfuse's
API. Invariant: every reply is what Langfuse's own clients parse; a filter that no score here can
fit, such as a configuration or a queue, gives no scores.

GET /api/public/scores, /api/public/v2/scores     {"data", "meta": {"page", "limit", ...}}
GET /api/public/v3/scores                          {"data", "meta": {"limit", "cursor"}}
GET /api/public/scores/{id}, .../v2/scores/{id}    the score, or 404
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from aiohttp import web

from sessiontrace.server import record_builder
from sessiontrace.server.apis.langfuse.ids import observation_span, trace_of
from sessiontrace.server.apis.langfuse.score_list import (
    Score,
    ScoreFilter,
    page_of,
    score_of,
)
from sessiontrace.server.http import RequestRejected, json_response
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.store.models import Cursor

__all__ = ["ScoreRoutes"]

Body = dict[str, Any]

_LIMIT, _LIMIT_MAX = 50, 100
_NOT_HERE = ("configId", "queueId", "authorUserId", "experimentId", "datasetRunId")
_GROUPS = frozenset({"details", "subject", "annotation"})


class ScoreRoutes:
    """The handlers of the routes."""

    def __init__(self, readers: StoreReaders) -> None:
        self._readers = readers

    async def by_page(self, request: web.Request) -> web.Response:
        """A page by its number, as versions 1 and 2 of the API ask."""
        query = request.query
        limit = _count(query, "limit", _LIMIT, _LIMIT_MAX)
        page = _count(query, "page", 1, 1_000_000)
        conditions = _filter(query)
        stop = page * limit
        read = await self._read(query, conditions, stop + 1, None)
        scores = sorted(read.scores, key=lambda score: (-score.at, score.id))
        total = len(scores)
        meta: Body = {
            "page": page,
            "limit": limit,
            "totalItems": total,
            "totalPages": -(-total // limit),
        }
        if read.after is not None:
            meta["truncated"] = True  # there may be more than ``totalItems``
        return json_response(
            {"data": [_by_page(score) for score in scores[stop - limit : stop]], "meta": meta}
        )

    async def by_cursor(self, request: web.Request) -> web.Response:
        """A page behind a cursor, as version 3 of the API asks."""
        query = request.query
        limit = _count(query, "limit", _LIMIT, _LIMIT_MAX)
        groups = {group for group in query.get("fields", "").split(",") if group}
        if unknown := groups - _GROUPS:
            raise RequestRejected(400, f"fields has no group {min(unknown)[:50]!r}")
        after, skip = _cursor(query.get("cursor"))
        read = await self._read(query, _filter(query), skip + limit + 1, after)
        scores = read.scores[skip : skip + limit]
        meta: Body = {"limit": limit}
        if len(read.scores) > skip + limit:
            meta["cursor"] = _encoded(after, skip + limit)
        elif read.after is not None:
            meta["cursor"] = _encoded(read.after, 0)
        return json_response(
            {"data": [_by_cursor(score, groups) for score in scores], "meta": meta}
        )

    async def one(self, request: web.Request) -> web.Response:
        """One score by its id."""
        score_id = request.match_info["id"]
        score = await self._readers.query(lambda store: score_of(store, score_id))
        if score is None:
            raise RequestRejected(
                404, f"no score of the latest sessions has the id {score_id[:50]}"
            )
        return json_response(_by_page(score))

    async def _read(
        self, query: Mapping[str, str], conditions: ScoreFilter, least: int, after: Cursor | None
    ) -> Any:
        if any(query.get(name) for name in _NOT_HERE):
            conditions = ScoreFilter(ids=frozenset({""}), traces=frozenset({"none"}))
        return await self._readers.query(lambda store: page_of(store, conditions, least, after))


def _by_page(score: Score) -> Body:
    at = record_builder.iso(score.at)
    body: Body = {
        "id": score.id, "name": score.name, "dataType": score.type, "source": score.source,
        "value": float(score.value) if not isinstance(score.value, str) else None,
        "timestamp": at, "createdAt": at, "updatedAt": at, "environment": score.environment,
        "traceId": score.trace_id, "observationId": score.span_id,
        "sessionId": score.session if score.kind == "session" else None,
        "comment": score.comment, "metadata": score.metadata, "authorUserId": None,
        "configId": None, "queueId": None,
        "trace": {"userId": score.user, "tags": [], "environment": score.environment},
    }  # fmt: skip
    if isinstance(score.value, bool):
        body["stringValue"] = "True" if score.value else "False"
    elif isinstance(score.value, str):
        body["stringValue"] = score.value
        if score.type != "CATEGORICAL":
            body["value"] = score.value
    return body


def _by_cursor(score: Score, groups: set[str]) -> Body:
    at = record_builder.iso(score.at)
    body: Body = {
        "id": score.id, "projectId": PROJECT.get(), "name": score.name, "value": score.value,
        "dataType": score.type, "source": score.source, "timestamp": at, "createdAt": at,
        "updatedAt": at, "environment": score.environment,
    }  # fmt: skip
    if "details" in groups:
        body |= {"comment": score.comment, "configId": None, "metadata": score.metadata}
    if "annotation" in groups:
        body |= {"authorUserId": None, "queueId": None}
    if "subject" in groups:
        own = {"trace": score.trace_id, "session": score.session}.get(score.kind, score.span_id)
        body["subject"] = {"kind": score.kind, "id": own}
        if score.kind == "observation":
            body["subject"]["traceId"] = score.trace_id
    return body


# -- what a request asks for ----------------------------------------------------------------


def _filter(query: Mapping[str, str]) -> ScoreFilter:
    bounds = {
        "least": _number(query, "valueMin"),
        "most": _number(query, "valueMax"),
        **_compared(query),
    }
    return ScoreFilter(
        ids=_texts(query, "scoreIds") | _texts(query, "id"),
        names=_texts(query, "name"),
        sources=frozenset(text.upper() for text in _texts(query, "source")),
        types=frozenset(text.upper() for text in _texts(query, "dataType")),
        environments=_texts(query, "environment"),
        traces=frozenset(map(trace_of, _texts(query, "traceId"))),
        sessions=_texts(query, "sessionId"),
        observations=frozenset(map(observation_span, _texts(query, "observationId"))),
        users=_texts(query, "userId"),
        values=frozenset() if "operator" in query else frozenset(_values(query)),
        since=_moment(query, "fromTimestamp"),
        until=_moment(query, "toTimestamp"),
        **bounds,
    )


def _compared(query: Mapping[str, str]) -> dict[str, float | None]:
    """Bounds of ``operator`` and ``value``, as versions 1 and 2 of the API compare."""
    operator, value = query.get("operator"), None
    if operator is None or (value := _number(query, "value")) is None:
        return {}
    bounds: dict[str, dict[str, float | None]] = {
        "=": {"least": value, "most": value},
        ">=": {"least": value},
        ">": {"least": math.nextafter(value, math.inf)},
        "<=": {"most": value},
        "<": {"most": math.nextafter(value, -math.inf)},
    }
    if operator not in bounds:
        raise RequestRejected(400, f"operator must be one of {' '.join(bounds)}")
    return bounds[operator]


def _values(query: Mapping[str, str]) -> Iterator[str]:
    for text in _texts(query, "value"):
        try:
            yield f"{float(text):.15g}"
        except ValueError:
            yield text


def _texts(query: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(text for text in query.get(name, "").split(",") if text)


def _number(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise RequestRejected(400, f"{name} must be a number") from error


def _moment(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if not text:
        return None
    at = record_builder.moment(text.replace(" ", "+"))
    if at is None:
        raise RequestRejected(400, f"{name} must be a time in ISO 8601")
    return at


def _count(query: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = query.get(name) or str(usual)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= most:
        raise RequestRejected(400, f"{name} must be a number from 1 to {most}")
    return int(text)


def _encoded(after: Cursor | None, skip: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([after, skip])).decode()


def _cursor(text: str | None) -> tuple[Cursor | None, int]:
    if not text:
        return None, 0
    try:
        after, skip = orjson.loads(base64.urlsafe_b64decode(text.encode()))
        if after is not None:
            at, session_id = after
            after = int(at), str(session_id)
        return after, max(0, int(skip))
    except (ValueError, TypeError, binascii.Error) as error:
        raise RequestRejected(400, "cursor must be one that the page before returned") from error
