"""A session's thread for the page: turns with their messages, cut to what a reader sees at first.

Pure but for the store it reads. Invariant: a response is as large as its turns, not as the history
that their calls repeat; long texts are cut, and say how long they are.

after      the ``next`` of the page before
limit      turns, at most 200, default 40
"""

from __future__ import annotations

from typing import Any

import attrs
import orjson
from aiohttp import web

from sessiontrace.model.json_depth import encode
from sessiontrace.server.apis.page.answers import requested_session
from sessiontrace.server.http import RequestRejected
from sessiontrace.store.protocol import Store
from sessiontrace.store.thread.pages import Position, thread_page
from sessiontrace.store.thread.turns import Line, Tool, Turn

__all__ = ["ThreadQuery", "thread", "thread_query", "thread_turn"]

_MOST_TURNS = 200
_TURNS = 40
_MOST_CHARACTERS = 20_000  # of one message; its step has the whole
_MOST_VALUE = 6_000
_MOST_PART = 100_000
_MOST_ERROR = 2_000


@attrs.frozen
class ThreadQuery:
    """Which turns of which session a request asks for."""

    session: str
    after: Position | None
    limit: int


def thread_query(request: web.Request) -> ThreadQuery:
    """The parameters of a request; raises ``RequestRejected`` for what no page sends."""
    limit = request.query.get("limit") or str(_TURNS)
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6):
        raise RequestRejected(400, "limit must be a whole number")
    return ThreadQuery(
        session=request.match_info["id"],
        after=_position(request.query.get("after")),
        limit=max(1, min(int(limit), _MOST_TURNS)),
    )


def _position(text: str | None) -> Position | None:
    if not text:
        return None
    start, _, turn_id = text.partition(":")
    if not (start.isascii() and start.isdigit() and len(start) <= 16 and turn_id):
        raise RequestRejected(400, "after must be the `next` of an earlier answer")
    return int(start), turn_id


def thread(store: Store, query: ThreadQuery) -> dict[str, Any] | None:
    """A page of a session's thread; None when the session is not stored."""
    stored = requested_session(store, query.session, first_chunks=False)
    if stored is None:
        return None
    page = thread_page(store, stored, query.after, query.limit)
    metadata = stored.record.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return {
        "session": stored.summary.as_json(),
        "record": {"metadata": {"tags": tags}},
        "conversation": page.is_conversation,
        "turns": [thread_turn(turn) for turn in page.turns],
        "omitted": stored.omitted,
        "next": None if page.next is None else f"{page.next[0]}:{page.next[1]}",
    }


def thread_turn(turn: Turn) -> dict[str, Any]:
    """A turn as the page reads it; long texts and values are cut."""
    fields = attrs.asdict(turn, recurse=False)
    return {
        **fields,
        "error": None if turn.error is None else turn.error[:_MOST_ERROR],
        "lines": [_line(line) for line in turn.lines],
        "tools": [_tool(tool) for tool in turn.tools],
    }


def _line(line: Line) -> dict[str, Any]:
    fields = attrs.asdict(line, recurse=False)
    for name in ("text", "reasoning"):
        text = fields[name]
        if len(text) > _MOST_CHARACTERS:
            fields[name] = text[:_MOST_CHARACTERS]
            fields["length"] = max(len(text), fields.get("length", 0))
    fields["data"] = _bounded(line.data)
    fields["parts"] = [_part(part) for part in line.parts]
    return fields


def _part(part: Any) -> Any:
    """A part of a message, such as a picture; of a large one, what it is."""
    if len(encode(part)) <= _MOST_PART:
        return part
    return {"type": part.get("type")} if isinstance(part, dict) else type(part).__name__


def _tool(tool: Tool) -> dict[str, Any]:
    fields = attrs.asdict(tool, recurse=False)
    return {
        **fields,
        "arguments": _bounded(_decoded(tool.arguments)),
        "result": _bounded(_decoded(tool.result)),
    }


def _decoded(value: Any) -> Any:
    """The object or list that a text holds as JSON, else the value itself."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _bounded(value: Any) -> Any:
    """The value, or the beginning of its JSON where it is long."""
    text = value if isinstance(value, str) else encode(value).decode()
    return value if len(text) <= _MOST_VALUE else text[:_MOST_VALUE] + "…"
