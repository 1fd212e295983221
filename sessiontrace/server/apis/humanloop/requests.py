"""Reading of Humanloop's v4 requests: their required fields, and the ids that they name.

Pure functions, no thread owns them. Invariant: an error names the place in the request.
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping
from sessiontrace.server.apis.humanloop.projects import Project, Projects
from sessiontrace.server.http import RequestRejected

__all__ = [
    "check_log",
    "data_id",
    "extra_of",
    "list_of",
    "object_of",
    "paging",
    "parent_id_of",
    "session_id_of",
]

Body = dict[str, Any]

_SIZE_MOST = 1000


def object_of(body: Any) -> Body:
    """The value as an object, or ``RequestRejected``."""
    if not isinstance(body, dict):
        raise RequestRejected(422, "body: value is not a valid dict")
    return body


def list_of(body: Body, name: str) -> list[Any]:
    """The list in a field, empty for a missing one; ``RequestRejected`` for anything else."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise RequestRejected(422, f"body.{name}: value is not a valid list")
    return value


def check_log(log: Body) -> None:
    """Raise ``RequestRejected`` for a log that cannot be filed."""
    if not log.get("project") and not log.get("project_id"):
        raise RequestRejected(422, "body.project: one of project and project_id is required")
    for first, second in (
        ("session_id", "session_reference_id"),
        ("parent_id", "parent_reference_id"),
    ):
        if log.get(first) and log.get(second):
            raise RequestRejected(422, f"body.{first}: at most one of {first} and {second}")


def paging(request: web.Request, first: int, usual: int) -> tuple[int, int]:
    """The page and size of a request; ``first`` and ``usual`` are the route's defaults."""
    numbers = []
    for name, default in (("page", first), ("size", usual)):
        text = request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise RequestRejected(422, f"query.{name}: value is not a valid integer")
        numbers.append(int(text))
    return numbers[0], max(1, min(numbers[1], _SIZE_MOST))


def data_id(log_id: str) -> str:
    """The event id of a log id, or ``RequestRejected``."""
    event_id = mapping.unprefixed("data_", log_id)
    if event_id is None:
        raise RequestRejected(404, f"Log with ID {log_id!r} not found.")
    return event_id


def session_id_of(projects: Projects, log: Body) -> tuple[str, bool]:
    """The record's session, and whether the log itself names one."""
    if log.get("session_id"):
        session_id = mapping.unprefixed("sesh_", log["session_id"])
        if session_id is None or not projects.has_session(session_id):
            raise RequestRejected(404, f"Session with ID {log['session_id']!r} not found.")
        return session_id, True
    reference = log.get("session_reference_id")
    if isinstance(reference, str) and reference:
        return record_builder.session_id_for(reference)[0], True
    if (parent := parent_id_of(log)) is not None and (session_id := projects.session_of(parent)):
        return session_id, True
    if log.get("reference_id"):
        return record_builder.own_id("humanloop.session", str(log["reference_id"])), False
    return str(uuid.uuid4()), False


def parent_id_of(log: Body) -> str | None:
    """The event id of the parent that a log names."""
    parent_id = mapping.unprefixed("data_", log.get("parent_id"))
    if parent_id is None and log.get("parent_reference_id"):
        return mapping.event_id_for(log["parent_reference_id"])
    return parent_id


def extra_of(log: Body, project: Project, in_session: bool) -> Body:
    """The fields that a record has no place for, for its metadata."""
    extra: Body = {"project_id": project.id, "project_name": project.name}
    for name in ("reference_id", "session_reference_id", "parent_reference_id"):
        if log.get(name):
            extra[name] = log[name]
    return extra | ({"in_session": True} if in_session else {})
