"""Humanloop's v4 responses, built from the store; and its errors.

Runs on the reading threads, and in plans on the writer thread. Invariant: a response has every
field that any client requires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from sessiontrace.model.json_depth import encode
from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping
from sessiontrace.server.apis.humanloop.projects import FEEDBACK, LOG, SESSION, Project, Projects
from sessiontrace.server.http import json_response
from sessiontrace.store.protocol import Store

__all__ = [
    "error_response",
    "feedback_of",
    "log_response",
    "page_of",
    "page_of_logs",
    "project_response",
    "session_response",
]

Body = dict[str, Any]

_SCANNED = 10_000


def error_response(status: int, reason: str) -> web.Response:
    """An error in FastAPI's form, as Humanloop's API sends it."""
    if status in (400, 422):
        where, _, why = reason.partition(": ")
        location = where.split(".") if why else ["body"]
        fault = {"loc": location, "msg": why or reason, "type": "value_error"}
        return json_response({"detail": [fault]}, 422)
    return json_response({"detail": reason}, status)


def page_of(records: Sequence[Any], page: int, size: int, total: int) -> Body:
    """The envelope of every list."""
    return {"records": records, "page": page, "size": size, "total": total}


def feedback_of(store: Store, event_id: str) -> list[Body]:
    """The feedback of a log, the oldest first."""
    documents, _ = store.documents(f"{FEEDBACK}:{event_id}", 0, 1000, oldest_first=True)
    return [dict(document.body or {}) for document in documents]


def _folded(value: Any) -> str:
    """A value's text for a search; ``str`` of a value that is too deep would fail."""
    try:
        return str(value).casefold()
    except RecursionError:
        return encode(value).decode().casefold()


def log_response(store: Store, event_id: str) -> Body | None:
    """A log by its event id; None when the store does not have it."""
    record = store.record(event_id)
    return None if record is None else mapping.log_response(record, feedback_of(store, event_id))


def page_of_logs(
    store: Store, project_id: str, query: Mapping[str, str], page: int, size: int
) -> Body:
    """The logs of a project that match the query, a page of them."""
    kind = f"{LOG}:{project_id}"
    term = query.get("search", "").casefold()
    since = record_builder.moment(query.get("start_date"))
    until = record_builder.moment(query.get("end_date"))
    filtered = term or query.get("metadata_search") or since is not None or until is not None
    if not filtered:
        documents, total = store.documents(kind, page * size, size)
        responses = [log_response(store, document.id) for document in documents]
        return page_of([response for response in responses if response], page, size, total)
    documents, _ = store.documents(kind, 0, _SCANNED)
    metadata_term = query.get("metadata_search", "").casefold()
    matches = []
    for document in documents:
        if since is not None and document.at < since:
            continue
        if until is not None and document.at >= until:
            continue
        response = log_response(store, document.id)
        if response is None or metadata_term not in _folded(response.get("metadata")):
            continue
        if term in f"{_folded(response.get('inputs'))}\n{_folded(response.get('output'))}":
            matches.append(response)
    return page_of(matches[page * size : (page + 1) * size], page, size, len(matches))


def session_response(store: Store, session_id: str) -> Body | None:
    """A session by its id; None when the store does not have it."""
    document = store.document(SESSION, session_id)
    stored = store.session(session_id)
    if stored is None:
        return None
    body = document or {}
    projects = [Projects(store).summary(project_id) for project_id in body.get("projects", ())]
    steps = stored.events
    first = store.event(steps[0].event_id) if steps else None
    last = None
    for step in sorted(steps, key=lambda step: step.end_time or 0, reverse=True)[:20]:
        record = store.event(step.event_id)
        if record is not None and (last := mapping.output_of(record)) is not None:
            break
    response: Body = {
        "id": mapping.prefixed("sesh_", session_id),
        "reference_id": body.get("reference_id"),
        "projects": [project for project in projects if project],
        "datapoints_count": stored.summary.events,
        "first_inputs": None if first is None else first.get("inputs"),
        "last_output": last,
        "created_at": record_builder.iso(stored.summary.start_time),
        "updated_at": record_builder.iso(stored.summary.end_time),
    }
    return {name: value for name, value in response.items() if value is not None}


def project_response(store: Store, project: Project) -> Body:
    """A project with the number of its logs."""
    _, count = store.documents(f"{LOG}:{project.id}", 0, 0)
    return {
        "id": project.id,
        "name": project.name,
        "users": [],
        "data_count": count,
        "feedback_types": [{"type": name} for name in ("rating", "action", "issue")],
        "team_id": "tm_local",
        **({"directory_id": project.directory_id} if project.directory_id else {}),
        "created_at": record_builder.iso(project.created),
        "updated_at": record_builder.iso(project.updated),
    }
