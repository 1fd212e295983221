"""HoneyHive's API, typed: sessions and events of its data plane (OpenAPI 1.9.0).

Runs in the user's event loop. Invariant: what its closed schemas do not allow is refused here, with
the reason, before anything is sent.

Sources: the data-plane OpenAPI document 1.9.0 (fields, limits), HoneyHive's documentation
(idempotency of sessions, string times), as of November 2026.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from sessiontrace.clients.base import Client
from sessiontrace.clients.errors import UnexpectedAnswerError
from sessiontrace.clients.honeyhive_models import (
    CreatedBatch,
    CreatedEvent,
    Event,
    EventSchema,
    NewEvent,
    StartedSession,
)
from sessiontrace.clients.http import Rest, path_part
from sessiontrace.clients.model import number
from sessiontrace.model.fields import BUCKETS
from sessiontrace.model.payload import json_text, rfc3339
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.honeyhive import destination

__all__ = ["Filter", "HoneyHive"]

Object = Mapping[str, Any]

_EVENT_TYPES = ("model", "tool", "chain", "session")
_EVENT_TEXTS = ("project_id", "source", "event_name", "event_id", "session_id", "parent_id")
_TIMES = {
    "start_time": "Unix milliseconds",
    "end_time": "Unix milliseconds",
    "duration": "milliseconds",
}
_SILENT = "HoneyHive would silently take the current time for a text"
_OPERATORS = (
    *("exists", "not exists", "is", "is not", "contains", "not contains"),
    *("greater than", "less than", "after", "before"),
)
_PAGE_MAX = 1000


@attrs.frozen
class Filter:
    """One condition of ``events.search``.

    ``operator``: exists, not exists, is, is not, contains, not contains, greater than, less than,
    after or before. ``type``: string, number, boolean or datetime, where it is not obvious.
    """

    field: str
    operator: str = attrs.field(validator=attrs.validators.in_(_OPERATORS))
    value: str | float | bool | None = None
    type: str | None = None

    def body(self) -> dict[str, Any]:
        """The filter as HoneyHive's API takes it."""
        body = {"field": self.field, "operator": self.operator, "value": self.value}
        return body if self.type is None else {**body, "type": self.type}


class HoneyHive(Client):
    """An async client of HoneyHive's data plane. Use it with ``async with``, in any asyncio loop.

    ``api_key``: default ``HH_API_KEY``; ``base_url``: default ``HH_API_URL``, else HoneyHive's
    cloud. ``timeout``: seconds for one attempt; ``retries``: repetitions at most, only where they
    are safe; ``proxy``, ``ca_file``, ``client_cert``, ``client_key``: as for destinations;
    ``allow_insecure``: permit ``http://`` to other hosts than this one. Raises ``ConfigError`` for
    options that cannot work.
    """

    def __init__(
        self,
        api_key: str | Secret | None = None,
        base_url: str = "",
        *,
        timeout: float = 30.0,
        retries: int = 2,
        proxy: str | Secret | None = None,
        ca_file: str | Path | None = None,
        client_cert: str | Path | None = None,
        client_key: str | Path | None = None,
        allow_insecure: bool = False,
    ) -> None:
        place = destination.HoneyHive(
            api_key=api_key, base_url=base_url, allow_insecure=allow_insecure
        )
        super().__init__(
            place.complete(os.environ),
            timeout=timeout,
            retries=retries,
            proxy=proxy,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
        )
        self.sessions: Sessions = Sessions(self._rest)
        self.events: Events = Events(self._rest)


class Sessions:
    """``client.sessions``."""

    def __init__(self, api: Rest) -> None:
        self._rest = api

    async def start(
        self,
        *,
        session_id: str | None = None,
        session_name: str | None = None,
        event_name: str | None = None,
        source: str | None = None,
        start_time: float | None = None,
        end_time: float | None = None,
        duration: float | None = None,
        config: Object | None = None,
        inputs: Object | None = None,
        outputs: Object | None = None,
        metadata: Object | None = None,
        user_properties: Object | None = None,
        children_ids: Sequence[str] | None = None,
    ) -> StartedSession:
        """Start a session, or merge into the one that has this ``session_id``.

        Nothing is required. ``session_id``: a UUID; the server replaces anything else by a new one.
        ``start_time``, ``end_time``: numbers of Unix milliseconds, ``duration``: milliseconds; any
        other type is a ``TypeError`` here. Idempotent on ``session_id``: a second start merges
        ``metadata`` and ``user_properties`` and returns the session that exists.
        """
        body = {
            "session_id": session_id,
            "session_name": session_name,
            "event_name": event_name,
            "source": source,
            "start_time": start_time,
            "end_time": end_time,
            "duration": duration,
            "config": config,
            "inputs": inputs,
            "outputs": outputs,
            "metadata": metadata,
            "user_properties": user_properties,
            "children_ids": None if children_ids is None else list(children_ids),
        }
        body = {name: value for name, value in body.items() if value is not None}
        _check(body, ("session_id", "session_name", "event_name", "source"))
        answer = await self._rest.call(
            "POST", "/v1/sessions", body=body, repeatable=session_id is not None
        )
        return StartedSession.read(answer.value)

    async def add_events(self, session_id: str, events: Sequence[NewEvent]) -> bool:
        """Add events to a session, in this order; returns whether HoneyHive accepted them.

        ``events``: as for ``client.events.create``; their own ``session_id`` is overridden. At
        most 5 MB in all. A ``ServerError`` (500) may mean that some were added.
        """
        path = f"/v1/sessions/{path_part(session_id)}/events/batch"
        answer = await self._rest.call("POST", path, body={"events": [_event(e) for e in events]})
        return _succeeded(answer.value)


class Events:
    """``client.events``."""

    def __init__(self, api: Rest) -> None:
        self._rest = api

    async def create(self, event: NewEvent) -> CreatedEvent:
        """Create one event.

        Required: ``event_type`` (model, tool, chain or session) and ``inputs`` (an object). Also
        ``event_id``, ``session_id``, ``parent_id``, ``event_name``, ``source``, ``project_id``,
        ``children_ids``, ``outputs``, ``config``, ``metadata``, ``metrics``, ``feedback``,
        ``user_properties``, ``error``, and as numbers ``start_time``, ``end_time`` (Unix ms) and
        ``duration`` (ms). Anything else is a ``TypeError``: the schema is closed.
        """
        answer = await self._rest.call("POST", "/v1/events", body=_event(event))
        return CreatedEvent.read(answer.value)

    async def create_batch(
        self,
        events: Sequence[NewEvent],
        *,
        single_session: bool | None = None,
        session_properties: Object | None = None,
    ) -> CreatedBatch:
        """Create events, at most 5 MB in all.

        ``single_session``: put them all into one session, which ``session_properties``
        (``session_name``, ``start_time``, ``user_properties``, ``metadata``) describe. A
        ``ServerError`` (500) may mean that some were created.
        """
        body: dict[str, Any] = {"events": [_event(event) for event in events]}
        if single_session is not None:
            body["single_session"] = single_session
        if session_properties is not None:
            number("start_time", session_properties.get("start_time"), "Unix milliseconds", _SILENT)
            body["session_properties"] = dict(session_properties)
        answer = await self._rest.call("POST", "/v1/events/batch", body=body)
        return CreatedBatch.read(answer.value)

    async def get(self, event_id: str) -> Event:
        """The event or session of this id; ``NotFoundError`` when there is none."""
        answer = await self._rest.call("GET", f"/v1/events/{path_part(event_id)}")
        if not isinstance(answer.value, Mapping) or "event" not in answer.value:
            raise UnexpectedAnswerError("Event: the answer lacks event", ("event",))
        return Event.read(answer.value["event"])

    async def schema(
        self,
        *,
        start_time: float | None = None,
        end_time: float | None = None,
        evaluation_id: str | None = None,
    ) -> EventSchema:
        """The fields that the project's events have, by type of event.

        ``start_time`` and ``end_time`` (Unix ms) bound the time; ``evaluation_id``: of one run.
        HoneyHive calls this route deprecated, in favour of the schemas of runs.
        """
        query: dict[str, Any] = {"evaluation_id": evaluation_id}
        bounds = {"$gte": start_time, "$lte": end_time}
        for name, moment in bounds.items():
            number("start_time" if name == "$gte" else "end_time", moment, "Unix milliseconds")
        span = {name: rfc3339(int(at)) for name, at in bounds.items() if at is not None}
        if span:
            query["dateRange"] = json_text(span)
        answer = await self._rest.call("GET", "/v1/events/schema", query=query)
        return EventSchema.read(answer.value)

    async def update(
        self,
        event_id: str,
        *,
        metadata: Object | None = None,
        feedback: Object | None = None,
        metrics: Object | None = None,
        config: Object | None = None,
        user_properties: Object | None = None,
        outputs: Object | None = None,
        duration: float | None = None,
        end_time: float | None = None,
        children_ids: Sequence[str] | None = None,
    ) -> None:
        """Change an event, or a session by its ``session_id``.

        The first five merge into the existing values; the others replace them. Inputs, error,
        start_time, event_name and parent_id cannot be changed.
        """
        body = {
            "metadata": metadata,
            "feedback": feedback,
            "metrics": metrics,
            "config": config,
            "user_properties": user_properties,
            "outputs": outputs,
            "duration": duration,
            "end_time": end_time,
            "children_ids": None if children_ids is None else list(children_ids),
        }
        body = {name: value for name, value in body.items() if value is not None}
        _check(body, ())
        await self._rest.call("PUT", f"/v1/events/{path_part(event_id)}", body=body)

    async def search(
        self,
        filters: Sequence[Filter | Object] = (),
        *,
        start_time: float | None = None,
        end_time: float | None = None,
        evaluation_id: str | None = None,
        page_size: int = _PAGE_MAX,
        limit: int | None = None,
    ) -> AsyncIterator[Event]:
        """All events that match, latest first: ``async for event in client.events.search(...)``.

        ``start_time`` and ``end_time`` (Unix ms, both or none) bound the time; ``limit`` bounds
        how many are yielded; ``page_size`` (1 to 1000) how many one request fetches.
        """
        if not 1 <= page_size <= _PAGE_MAX:
            raise ValueError(f"page_size must be 1 to {_PAGE_MAX}, not {page_size}")
        body: dict[str, Any] = {
            "filters": [
                item.body() if isinstance(item, Filter) else dict(item) for item in filters
            ],
            "limit": page_size,
        }
        if (start_time is None) != (end_time is None):
            raise TypeError("start_time and end_time go together: give both or none")
        if start_time is not None and end_time is not None:
            number("start_time", start_time, "Unix milliseconds")
            number("end_time", end_time, "Unix milliseconds")
            body["dateRange"] = {
                "start_time": rfc3339(int(start_time)),
                "end_time": rfc3339(int(end_time)),
            }
        if evaluation_id is not None:
            body["evaluation_id"] = evaluation_id
        left = float("inf") if limit is None else limit
        page = 1
        while left > 0:
            answer = await self._rest.call(
                "POST", "/v1/events/search", body={**body, "page": page}, repeatable=True
            )
            events = answer.value.get("events") if isinstance(answer.value, Mapping) else None
            if not isinstance(events, list):
                raise UnexpectedAnswerError("search: the answer lacks events", ("events",))
            for event in events:
                if left <= 0:
                    return
                left -= 1
                yield Event.read(event)
            if len(events) < page_size:
                return
            page += 1


def _event(event: NewEvent) -> dict[str, Any]:
    """A PostEventRequest, checked."""
    body: dict[str, Any] = {**event}
    if body.get("event_type") not in _EVENT_TYPES:
        raise TypeError(
            f"event_type must be one of {', '.join(_EVENT_TYPES)}, not {body.get('event_type')!r}"
        )
    if "inputs" not in body:
        raise TypeError("inputs is required: give an object, {} if there are none")
    error = body.pop("error", "")
    names = {*_EVENT_TEXTS, *BUCKETS, *_TIMES, "event_type", "children_ids"}
    if unknown := sorted(body.keys() - names):
        raise TypeError(f"HoneyHive's events have no field {', '.join(unknown)}; use metadata")
    _check(body, _EVENT_TEXTS)
    if error is not None and not isinstance(error, str):
        raise TypeError(f"error must be a text or None, not {type(error).__name__}")
    return body if error == "" else {**body, "error": error}


def _check(body: Object, texts: Sequence[str]) -> None:
    for name, unit in _TIMES.items():
        number(name, body.get(name), unit, _SILENT)
    for name in texts:
        if name in body and not isinstance(body[name], str):
            raise TypeError(f"{name} must be a text, not {type(body[name]).__name__}")
    for name in BUCKETS:
        if name in body and not isinstance(body[name], Mapping):
            raise TypeError(f"{name} must be an object (a dict), not {type(body[name]).__name__}")
    children = body.get("children_ids")
    if children is not None and not all(isinstance(child, str) for child in children):
        raise TypeError("children_ids must be texts")


def _succeeded(value: Any) -> bool:
    if not isinstance(value, Mapping) or "success" not in value:
        raise UnexpectedAnswerError("the answer lacks success", ("success",))
    return bool(value["success"])
