"""The page's API: judgements of sessions and steps, given, changed and taken back by hand.

Runs on the server's loop; reading runs on the reading threads, writing on the writer thread.
Invariant: a judgement is kept with its author and time, and one that it replaces stays in the
history.

GET /api/sessions/{id}/judgements   {judgements}, the first one first; replaced ones too
POST /api/judgements   {event_id, kind, name, value, comment, author} -> {ok, id, name}
POST /api/score        {event_id, name, value, comment, author} -> {ok}: the same for a score

``kind``: "score", "label", "comment" or "review" (of a session). ``value`` is a number, a text,
true or false; null takes the judgement back. ``name`` is the score or the label; of a comment it is
the id that the answer returned, to change it.
"""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from sessiontrace.model.ids import new_id
from sessiontrace.server import record_builder
from sessiontrace.server.apis.page.answers import answer
from sessiontrace.server.http import (
    RequestRejected,
    error_response,
    json_response,
    read_json,
    with_vendor_errors,
)
from sessiontrace.server.security.request_context import KEY_NAME
from sessiontrace.server.store_changes import Change
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store.judging.entries import (
    COMMENT,
    ENTRIES_MAX,
    JUDGEMENTS,
    KINDS,
    LABEL,
    REVIEW,
    SCORE,
)
from sessiontrace.store.protocol import Store

__all__ = ["routes"]

_NAME_CHARS = 200
_TEXT_CHARS = 10_000
_GREATEST = 1 << 32  # of a score; greater ones are in no sum


@attrs.frozen
class _Request:
    """A judgement as a request names it."""

    event_id: str
    kind: str
    name: str
    value: Any
    comment: str | None
    author: str | None

    def entry(self, at: int) -> dict[str, Any]:
        """What the store keeps of it, given at ``at`` (Unix ms)."""
        key = KEY_NAME.get()
        fields = {
            "comment": self.comment, "author": self.author or key or None, "key": key or None,
        }  # fmt: skip
        present = {name: text for name, text in fields.items() if text}
        return {"kind": self.kind, "name": self.name, "value": self.value, "at": at, **present}


def routes(readers: StoreReaders, writer: StoreWriter) -> list[web.RouteDef]:
    """The routes over one store."""

    async def judgements(request: web.Request) -> web.Response:
        session_id = request.match_info["id"]
        return await answer(readers, request, lambda store: _judgements(store, session_id))

    async def judge(request: web.Request) -> web.Response:
        return json_response(await _judge(writer, _request(await read_json(request))))

    async def score(request: web.Request) -> web.Response:
        await _judge(writer, _request(await read_json(request), SCORE))
        return json_response({"ok": True})

    return [
        web.get("/api/sessions/{id}/judgements", with_vendor_errors(judgements, error_response)),
        web.post("/api/judgements", with_vendor_errors(judge, error_response)),
        web.post("/api/score", with_vendor_errors(score, error_response)),
    ]


def _judgements(store: Store, session_id: str) -> dict[str, Any] | None:
    if store.session(session_id, 1, first_chunks=False) is None:
        return None
    return {"judgements": [attrs.asdict(judgement) for judgement in store.judgements(session_id)]}


async def _judge(writer: StoreWriter, judgement: _Request) -> dict[str, Any]:
    entry = judgement.entry(record_builder.now_ms())
    key = f"{entry['at']:015d} {new_id()}"

    def plan(store: Store) -> tuple[Change, str]:
        record = store.record(judgement.event_id)
        if record is None:
            return Change(), "not in this store"
        session_id = record["session_id"]
        if judgement.kind == REVIEW and session_id != judgement.event_id:
            return Change(), "a review is of a session, not of a step"
        count = sum(
            judged.source == "hand" and judged.event_id == record["event_id"]
            for judged in store.judgements(session_id)
        )
        if count >= ENTRIES_MAX:
            return Change(), f"it has {ENTRIES_MAX:,} judgements already"
        changes = {JUDGEMENTS: {key: entry}}
        return Change([record_builder.patch(judgement.event_id, session_id, changes)]), ""

    fault = await writer.transact(frozenset((judgement.event_id,)), plan)
    if fault:
        raise RequestRejected(404 if fault.startswith("not") else 409, fault)
    return {"ok": True, "id": key, "name": judgement.name}


def _request(body: Any, kind: str | None = None) -> _Request:
    """The judgement that a body names; raises ``RequestRejected``."""
    if not isinstance(body, dict):
        raise RequestRejected(400, "the body must be an object")
    kind = kind or body.get("kind")
    if kind not in KINDS:
        raise RequestRejected(400, f"kind must be one of {', '.join(KINDS)}")
    event_id = body.get("event_id")
    if not isinstance(event_id, str):
        raise RequestRejected(400, "event_id must be the id of a session or of a step")
    name, value = _named_value(kind, body)
    comment, author = _text(body, "comment", _TEXT_CHARS), _text(body, "author", _NAME_CHARS)
    return _Request(event_id, kind, name, value, comment, author)


def _named_value(kind: str, body: dict[str, Any]) -> tuple[str, Any]:
    value, name = body.get("value"), _text(body, "name", _NAME_CHARS)
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise RequestRejected(400, "value must be a text, a number, true, false or null")
    if isinstance(value, str):
        value = _text(body, "value", _TEXT_CHARS)
    if isinstance(value, (int, float)) and not -_GREATEST < value < _GREATEST:
        raise RequestRejected(400, f"value must be a number between -{_GREATEST} and {_GREATEST}")
    if kind == REVIEW:
        return "reviewed", bool(value) or None
    if kind == COMMENT:
        if value is not None and not isinstance(value, str):
            raise RequestRejected(400, "the value of a comment must be a text, or null")
        return name or new_id(), value
    if name is None:
        raise RequestRejected(400, f"name must be the name of the {kind}")
    return name, bool(value) or None if kind == LABEL else value


def _text(body: dict[str, Any], name: str, most: int) -> str | None:
    text = body.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise RequestRejected(400, f"{name} must be a text")
    if len(text) > most:
        raise RequestRejected(400, f"{name} is too long: it has more than {most:,} characters")
    return text.strip() or None
