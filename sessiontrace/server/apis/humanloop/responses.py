"""Humanloop's v4 answers, made of what the store holds; and its faults.

Pure over a store. Invariant: an answer holds every field that some client requires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping as logs
from sessiontrace.server.apis.humanloop.projects import FEEDBACK, LOG, SESSION, Project, Projects
from sessiontrace.server.http import json_response
from sessiontrace.store.protocol import Store

__all__ = [
    "error_response",
    "feedback_of",
    "page_of",
    "page_of_logs",
    "shown_log",
    "shown_project",
    "shown_session",
]

Body = dict[str, Any]

_SCANNED = 10_000


def error_response(status: int, reason: str) -> web.Response:
    """A fault as FastAPI tells it."""
    if status in (400, 422):
        where, _, why = reason.partition(": ")
        location = where.split(".") if why else ["body"]
        fault = {"loc": location, "msg": why or reason, "type": "value_error"}
        return json_response({"detail": [fault]}, 422)
    return json_response({"detail": reason}, status)


def page_of(shown: Sequence[Any], page: int, size: int, total: int) -> Body:
    """The envelope that every list comes in."""
    return {"records": shown, "page": page, "size": size, "total": total}


def feedback_of(store: Store, event_id: str) -> list[Body]:
    """What was said of a log, as it was said first to last."""
    found, _ = store.notes(f"{FEEDBACK}:{event_id}", 0, 1000, oldest_first=True)
    return [dict(note.body or {}) for note in found]


def shown_log(store: Store, event_id: str) -> Body | None:
    """A log by its event id; None when it is not here."""
    record = store.record(event_id)
    return None if record is None else logs.log(record, feedback_of(store, event_id))


def page_of_logs(
    store: Store, project_id: str, query: Mapping[str, str], page: int, size: int
) -> Body:
    kind = f"{LOG}:{project_id}"
    wanted = query.get("search", "").casefold()
    since = record_builder.moment(query.get("start_date"))
    until = record_builder.moment(query.get("end_date"))
    narrowed = wanted or query.get("metadata_search") or since is not None or until is not None
    if not narrowed:
        found, total = store.notes(kind, page * size, size)
        shown = [shown_log(store, note.id) for note in found]
        return page_of([one for one in shown if one], page, size, total)
    found, _ = store.notes(kind, 0, _SCANNED)
    told = query.get("metadata_search", "").casefold()
    fitting = []
    for note in found:
        if (since is not None and note.at < since) or (until is not None and note.at >= until):
            continue
        one = shown_log(store, note.id)
        if one is None or told not in str(one.get("metadata")).casefold():
            continue
        if wanted in f"{one.get('inputs')}\n{one.get('output')}".casefold():
            fitting.append(one)
    return page_of(fitting[page * size : (page + 1) * size], page, size, len(fitting))


def shown_session(store: Store, session_id: str) -> Body | None:
    """A session by its id; None when it is not here."""
    note = store.note(SESSION, session_id)
    stored = store.session(session_id)
    if stored is None:
        return None
    projects = [Projects(store).shown(one) for one in (note or {}).get("projects", ())]
    steps = stored.events
    first = store.event(steps[0].event_id) if steps else None
    last = None
    for step in sorted(steps, key=lambda one: one.end_time or 0, reverse=True)[:20]:
        record = store.event(step.event_id)
        if record is not None and (last := logs.output_of(record)) is not None:
            break
    shown: Body = {
        "id": logs.prefixed("sesh_", session_id),
        "reference_id": (note or {}).get("reference_id"),
        "projects": [one for one in projects if one],
        "datapoints_count": stored.summary.events,
        "first_inputs": None if first is None else first.get("inputs"),
        "last_output": last,
        "created_at": record_builder.iso(stored.summary.start_time),
        "updated_at": record_builder.iso(stored.summary.end_time),
    }
    return {name: value for name, value in shown.items() if value is not None}


def shown_project(store: Store, project: Project) -> Body:
    """A project with the number of its logs."""
    _, count = store.notes(f"{LOG}:{project.id}", 0, 0)
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
