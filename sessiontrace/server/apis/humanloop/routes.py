"""Humanloop's v4 API over the local store: sessions, logs, feedback, projects.

Runs on the server's loop. Speaks the superset that satisfies the clients 0.4 to 0.7 in Python and
0.5 in Node; fields it does not know are ignored. Projects, and which logs are in them, are notes
in the store. Invariant: ids are stable, and an answer is given when what it is about is on disk.

POST /v4/sessions   GET /v4/sessions?project_id  (pages from 1)   GET /v4/sessions/{id}
POST /v4/logs  (one or an array)        GET /v4/logs?project_id  (pages from 0)
GET, PATCH /v4/logs/{id}   PATCH /v4/logs?reference_id   DELETE /v4/logs?id=
POST /v4/feedback   POST /v4/traces
POST, GET /v4/projects   GET, PATCH, DELETE /v4/projects/{id}   POST /v4/projects/{id}/export
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from sessiontrace.model.record import Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping as logs
from sessiontrace.server.apis.humanloop.projects import LOG, PROJECT, SESSION, Project, Projects
from sessiontrace.server.apis.humanloop.requests import (
    check,
    data_id,
    kept,
    object_of,
    paging,
    parent_id_of,
    session_id_of,
)
from sessiontrace.server.apis.humanloop.responses import (
    error_response,
    feedback_of,
    page_of,
    page_of_logs,
    shown_log,
    shown_project,
    shown_session,
)
from sessiontrace.server.http import (
    RequestRejected,
    body_of,
    json_of,
    json_response,
    with_vendor_errors,
)
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import Change, StoreWriter
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["routes"]

Body = dict[str, Any]

_SCANNED = 10_000


def routes(reading: StoreReaders, writing: StoreWriter) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api = _Api(reading, writing)
    listed = [
        ("POST", "/v4/sessions", api.create_session),
        ("GET", "/v4/sessions", api.sessions),
        ("GET", "/v4/sessions/{id}", api.session),
        ("POST", "/v4/logs", api.log),
        ("GET", "/v4/logs", api.logs),
        ("PATCH", "/v4/logs", api.update_by_reference),
        ("DELETE", "/v4/logs", api.delete_logs),
        ("GET", "/v4/logs/{id}", api.one_log),
        ("PATCH", "/v4/logs/{id}", api.update),
        ("POST", "/v4/feedback", api.feedback),
        ("POST", "/v4/traces", api.trace),
        ("POST", "/v4/projects", api.create_project),
        ("GET", "/v4/projects", api.projects),
        ("GET", "/v4/projects/{id}", api.project),
        ("PATCH", "/v4/projects/{id}", api.update_project),
        ("DELETE", "/v4/projects/{id}", api.delete_project),
        ("POST", "/v4/projects/{id}/export", api.export),
    ]
    return [
        web.route(method, path, with_vendor_errors(handler, error_response))
        for method, path, handler in listed
    ]


class _Api:
    def __init__(self, reading: StoreReaders, writing: StoreWriter) -> None:
        self._reading = reading
        self._writing = writing

    # -- sessions ---------------------------------------------------------------------------

    async def create_session(self, request: web.Request) -> web.Response:
        await body_of(request)  # whatever it is
        session_id, now = str(uuid.uuid4()), record_builder.now_ms()
        note = Document(SESSION, session_id, now, {"projects": []})

        def plan(_: Store) -> tuple[Change, None]:
            made = record_builder.session(session_id, now, source="humanloop")
            return Change([made], [note]), None

        await self._writing.transact(frozenset(), plan)
        return json_response({"id": logs.prefixed("sesh_", session_id)}, 201)

    async def session(self, request: web.Request) -> web.Response:
        session_id = logs.unprefixed("sesh_", request.match_info["id"])
        shown = None
        if session_id is not None:
            shown = await self._reading.query(lambda store: shown_session(store, session_id))
        if shown is None:
            raise RequestRejected(404, f"Session with ID {request.match_info['id']!r} not found.")
        return json_response(shown)

    async def sessions(self, request: web.Request) -> web.Response:
        project_id = request.query.get("project_id")
        if not project_id:
            raise RequestRejected(422, "query.project_id: field required")
        page, size = paging(request, first=1, usual=10)

        def read(store: Store) -> Body:
            kind = f"{SESSION}:{project_id}"
            # The Node client walks back to page 0, and stops at an answer that says so.
            found, total = store.notes(kind, max(0, page - 1) * size, size if page else 0)
            shown = [shown_session(store, note.id) for note in found]
            return page_of([one for one in shown if one], page, size, total)

        return json_response(await self._reading.query(read))

    # -- logs -------------------------------------------------------------------------------

    async def log(self, request: web.Request) -> web.Response:
        given = await json_of(request)
        if isinstance(given, list):
            return json_response(await self._log([object_of(one) for one in given]))
        return json_response((await self._log([object_of(given)]))[0])

    async def trace(self, request: web.Request) -> web.Response:
        """The nested logs of clients before 0.5: all in one session, each below its parent."""
        given = object_of(await json_of(request))
        session_id = logs.prefixed("sesh_", str(uuid.uuid4()))
        flat: list[Body] = []
        todo: list[tuple[Body, str | None]] = [(one, None) for one in given.get("logs") or []]
        while todo:
            one, parent = todo.pop(0)
            one = dict(object_of(one))
            children = one.pop("children", None) or []
            one.setdefault("reference_id", str(uuid.uuid4()))
            one.setdefault("session_reference_id", session_id)
            if parent is not None:
                one["parent_reference_id"] = parent
            flat.append(one)
            todo += [(child, one["reference_id"]) for child in children]
        answers = await self._log(flat)
        return json_response({"session_id": answers[0]["session_id"] if answers else session_id})

    async def _log(self, given: Sequence[Body]) -> list[Body]:
        for one in given:
            check(one)
        event_ids = [logs.event_id_for(one.get("reference_id")) for one in given]
        touches = {*event_ids, "humanloop"}

        def plan(store: Store) -> tuple[Change, list[Body]]:
            filing = Projects(store)
            made: list[Record] = []
            answers: list[Body] = []
            for one, event_id in zip(given, event_ids, strict=True):
                project = filing.project(one)
                session_id, in_session = session_id_of(filing, one)
                fields = logs.fields_of(one, event_id, kept(one, project, in_session))
                fields["feedback"] = filing.feedback(event_id, one.get("feedback")) or None
                made += filing.session(session_id, project, fields, one)
                made.append(
                    logs.record_of(fields, session_id=session_id, parent_id=parent_id_of(one))
                )
                filing.file(project, event_id, session_id, fields["start_time"])
                if one.get("session_reference_id"):
                    filing.referred(session_id, str(one["session_reference_id"]))
                reply = {"id": logs.prefixed("data_", event_id), "project_id": project.id}
                shown = {"session_id": logs.prefixed("sesh_", session_id)} if in_session else {}
                answers.append({**reply, **shown})
            return Change(made, filing.notes), answers

        return await self._writing.transact(frozenset(touches), plan)

    async def one_log(self, request: web.Request) -> web.Response:
        event_id = data_id(request.match_info["id"])
        shown = await self._reading.query(lambda store: shown_log(store, event_id))
        if shown is None:
            raise RequestRejected(404, f"Log with ID {request.match_info['id']!r} not found.")
        return json_response(shown)

    async def logs(self, request: web.Request) -> web.Response:
        project_id = request.query.get("project_id")
        if not project_id:
            raise RequestRejected(422, "query.project_id: field required")
        page, size = paging(request, first=0, usual=50)
        query = dict(request.query)
        return json_response(
            await self._reading.query(
                lambda store: page_of_logs(store, project_id, query, page, size)
            )
        )

    async def export(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]
        page, size = paging(request, first=0, usual=10)
        return json_response(
            await self._reading.query(lambda store: page_of_logs(store, project_id, {}, page, size))
        )

    async def update(self, request: web.Request) -> web.Response:
        return await self._update(data_id(request.match_info["id"]), await json_of(request))

    async def update_by_reference(self, request: web.Request) -> web.Response:
        reference = request.query.get("reference_id")
        if not reference:
            raise RequestRejected(422, "query.reference_id: field required")
        return await self._update(logs.event_id_for(reference), await json_of(request))

    async def _update(self, event_id: str, given: Any) -> web.Response:
        changes = object_of(given)

        def plan(store: Store) -> tuple[Change, Body | None]:
            known = store.record(event_id)
            if known is None:
                return Change(), None
            settled = logs.updated(changes, known)
            shown = {**known, **{k: v for k, v in settled.items() if k != "metadata"}}
            if "metadata" in settled:
                shown["metadata"] = {**known["metadata"], **settled["metadata"]}
            patch = record_builder.patch(event_id, known["session_id"], settled)
            return Change([patch] if settled else []), logs.log(shown, feedback_of(store, event_id))

        shown = await self._writing.transact(frozenset((event_id,)), plan)
        if shown is None:
            raise RequestRejected(404, "Log not found.")
        return json_response(shown)

    async def delete_logs(self, request: web.Request) -> web.Response:
        event_ids = [data_id(one) for one in request.query.getall("id", [])]

        def plan(store: Store) -> tuple[Change, None]:
            gone: list[Document] = []
            for event_id in event_ids:
                raw = ((store.record(event_id) or {}).get("metadata") or {}).get("humanloop") or {}
                if raw.get("project_id"):
                    gone.append(Document(f"{LOG}:{raw['project_id']}", event_id, 0, None))
            return Change((), gone, event_ids), None

        await self._writing.transact(frozenset(event_ids), plan)
        return web.Response(status=204)

    # -- feedback ---------------------------------------------------------------------------

    async def feedback(self, request: web.Request) -> web.Response:
        given = await json_of(request)
        listed = [object_of(one) for one in (given if isinstance(given, list) else [given])]
        targets = [logs.unprefixed("data_", one.get("data_id")) for one in listed]
        if None in targets:
            raise RequestRejected(422, "body.data_id: field required")

        def plan(store: Store) -> tuple[Change, list[Body]]:
            filing = Projects(store)
            made: list[Record] = []
            for one, event_id in zip(listed, targets, strict=True):
                known = store.record(event_id or "")
                if known is None or event_id is None:
                    raise RequestRejected(404, f"Log with ID {one.get('data_id')!r} not found.")
                change = filing.feedback(event_id, one)
                made.append(
                    record_builder.patch(event_id, known["session_id"], {"feedback": change})
                )
            return Change(made, filing.notes), filing.answers

        touched = frozenset(one for one in targets if one)
        answers = await self._writing.transact(touched, plan)
        return json_response(answers if isinstance(given, list) else answers[0])

    # -- projects ---------------------------------------------------------------------------

    async def create_project(self, request: web.Request) -> web.Response:
        given = object_of(await json_of(request))
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise RequestRejected(422, "body.name: field required")

        def plan(store: Store) -> tuple[Change, Body]:
            filing = Projects(store)
            project = filing.named(name, given)
            return Change((), filing.notes), shown_project(store, project)

        shown = await self._writing.transact(frozenset(("humanloop",)), plan)
        return json_response(shown, 201)

    async def projects(self, request: web.Request) -> web.Response:
        page, size = paging(request, first=0, usual=10)
        wanted = request.query.get("filter", "").casefold()
        oldest = request.query.get("order") == "asc"
        by_name = request.query.get("sort_by") == "name"

        def read(store: Store) -> Body:
            found, _ = store.notes(PROJECT, 0, _SCANNED, oldest_first=oldest)
            listed = [Project.of(note) for note in found]
            listed = [one for one in listed if wanted in one.name.casefold()]
            if by_name:
                listed.sort(key=lambda one: one.name, reverse=not oldest)
            cut = listed[page * size : (page + 1) * size]
            return page_of([shown_project(store, one) for one in cut], page, size, len(listed))

        return json_response(await self._reading.query(read))

    async def project(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]

        def read(store: Store) -> Body:
            return shown_project(store, Projects(store).by_id(project_id))

        return json_response(await self._reading.query(read))

    async def update_project(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]
        given = object_of(await json_of(request))

        def plan(store: Store) -> tuple[Change, Body]:
            filing = Projects(store)
            project = filing.changed(filing.by_id(project_id), given)
            return Change((), filing.notes), shown_project(store, project)

        return json_response(await self._writing.transact(frozenset(("humanloop",)), plan))

    async def delete_project(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]

        def plan(store: Store) -> tuple[Change, None]:
            filing = Projects(store)
            filing.remove(filing.by_id(project_id))
            return Change((), filing.notes), None

        await self._writing.transact(frozenset(("humanloop",)), plan)
        return web.Response(status=204)
