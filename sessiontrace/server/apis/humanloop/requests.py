"""Reading Humanloop's v4 requests: what they must hold, and the ids that they name.

Pure functions. Invariant: what is wrong with a request is told with the place where it is wrong.
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping as logs
from sessiontrace.server.apis.humanloop.projects import Project, Projects
from sessiontrace.server.http import RequestRejected

__all__ = [
    "check",
    "data_id",
    "kept",
    "object_of",
    "paging",
    "parent_id_of",
    "session_id_of",
]

Body = dict[str, Any]

_SIZE_MOST = 1000


def object_of(given: Any) -> Body:
    """The value as an object, or ``RequestRejected``."""
    if not isinstance(given, dict):
        raise RequestRejected(422, "body: value is not a valid dict")
    return given


def check(given: Body) -> None:
    """Raise ``RequestRejected`` for a log that cannot be filed."""
    if not given.get("project") and not given.get("project_id"):
        raise RequestRejected(422, "body.project: one of project and project_id is required")
    for first, second in (
        ("session_id", "session_reference_id"),
        ("parent_id", "parent_reference_id"),
    ):
        if given.get(first) and given.get(second):
            raise RequestRejected(422, f"body.{first}: at most one of {first} and {second}")


def paging(request: web.Request, first: int, usual: int) -> tuple[int, int]:
    """Page and size as asked; what page the route begins with, and how many it usually gives."""
    found = []
    for name, default in (("page", first), ("size", usual)):
        text = request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise RequestRejected(422, f"query.{name}: value is not a valid integer")
        found.append(int(text))
    return found[0], max(1, min(found[1], _SIZE_MOST))


def data_id(given: str) -> str:
    """The event id that a log id stands for, or ``RequestRejected``."""
    found = logs.unprefixed("data_", given)
    if found is None:
        raise RequestRejected(404, f"Log with ID {given!r} not found.")
    return found


def session_id_of(filing: Projects, given: Body) -> tuple[str, bool]:
    """The record's session, and whether the log said that it is in one."""
    if given.get("session_id"):
        found = logs.unprefixed("sesh_", given["session_id"])
        if found is None or not filing.has_session(found):
            raise RequestRejected(404, f"Session with ID {given['session_id']!r} not found.")
        return found, True
    reference = given.get("session_reference_id")
    if isinstance(reference, str) and reference:
        return record_builder.session_id_for(reference)[0], True
    if (parent := parent_id_of(given)) is not None and (found := filing.session_of(parent)):
        return found, True
    if given.get("reference_id"):
        return record_builder.own_id("humanloop.session", str(given["reference_id"])), False
    return str(uuid.uuid4()), False


def parent_id_of(given: Body) -> str | None:
    """The event id of the parent that a log names."""
    found = logs.unprefixed("data_", given.get("parent_id"))
    if found is None and given.get("parent_reference_id"):
        return logs.event_id_for(given["parent_reference_id"])
    return found


def kept(given: Body, project: Project, in_session: bool) -> Body:
    """What a record has no place for, to be kept in its metadata."""
    kept: Body = {"project_id": project.id, "project_name": project.name}
    for name in ("reference_id", "session_reference_id", "parent_reference_id"):
        if given.get(name):
            kept[name] = given[name]
    return kept | ({"in_session": True} if in_session else {})
