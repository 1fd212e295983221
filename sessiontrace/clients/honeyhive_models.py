"""Requests and replies of HoneyHive's data plane (OpenAPI 1.9.0).

Pure values, no thread owns them. Invariant: an answer's field without default is one that the
document calls required.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import attrs

from sessiontrace.clients.model import Model, list_of

if TYPE_CHECKING:
    from typing_extensions import Required

__all__ = [
    "CreatedBatch",
    "CreatedEvent",
    "Event",
    "EventSchema",
    "NewEvent",
    "SchemaField",
    "StartedSession",
]


class NewEvent(TypedDict, total=False):
    """A PostEventRequest. ``event_type``: model, tool, chain or session.

    ``start_time``, ``end_time``: Unix ms, ``duration``: ms. Ids are made by the server where they
    are absent; ``parent_id`` defaults to the session.
    """

    event_type: Required[str]
    inputs: Required[Mapping[str, Any]]
    event_id: str
    session_id: str
    parent_id: str
    project_id: str
    event_name: str
    source: str
    children_ids: list[str]
    outputs: Mapping[str, Any]
    config: Mapping[str, Any]
    metadata: Mapping[str, Any]
    metrics: Mapping[str, Any]
    feedback: Mapping[str, Any]
    user_properties: Mapping[str, Any]
    error: str | None
    start_time: float
    end_time: float
    duration: float


@attrs.frozen(kw_only=True)
class Event(Model):
    """An event or session as HoneyHive holds it. Times are Unix ms, ``duration`` ms."""

    event_id: str | None = None
    session_id: str | None = None
    parent_id: str | None = None
    children_ids: list[str] | None = None
    event_type: str | None = None
    event_name: str | None = None
    project_id: str | None = None
    source: str | None = None
    error: str | None = None
    start_time: float | None = None
    end_time: float | None = None
    duration: float | None = None
    config: Any = None
    inputs: Any = None
    outputs: Any = None
    metadata: Any = None
    metrics: Any = None
    feedback: Any = None
    user_properties: Any = None


@attrs.frozen(kw_only=True)
class StartedSession(Event):
    """The session's event, as ``POST /v1/sessions`` returns it, with what HoneyHive promises."""

    event_id: str
    session_id: str
    org_id: str
    workspace_id: str
    project_id: str


@attrs.frozen(kw_only=True)
class CreatedEvent(Model):
    """The answer to ``POST /v1/events``."""

    event_id: str
    success: bool


@attrs.frozen(kw_only=True)
class CreatedBatch(Model):
    """The answer to ``POST /v1/events/batch``; ``session_id`` where one was made for it."""

    event_ids: list[str]
    success: bool
    session_id: str | None = None


@attrs.frozen(kw_only=True)
class SchemaField(Model):
    """A field that events of one type have; ``name`` is a path such as ``metadata.cost``."""

    name: str
    event_type: str


@attrs.frozen(kw_only=True)
class EventSchema(Model):
    """The answer to ``GET /v1/events/schema``. ``datasets``: the ids that events name."""

    fields: Sequence[SchemaField] = list_of(SchemaField)
    datasets: list[str]
    mappings: Mapping[str, Any]
