"""Humanloop's v4 API over the local store: sessions, logs, feedback, projects.

Runs on the server's loop. Speaks the superset that satisfies the clients 0.4 to 0.7 in Python and
0.5 in Node, and ignores unknown fields. Projects and their lists of logs are documents in the
store. Invariant: ids are stable, and the server answers once the request's records are on the disk.

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
from sessiontrace.server.apis.humanloop import mapping
from sessiontrace.server.apis.humanloop.projects import LOG, PROJECT, SESSION, Project, Projects
from sessiontrace.server.apis.humanloop.requests import (
    check_log,
    data_id,
    extra_of,
    list_of,
    object_of,
    paging,
    parent_id_of,
    session_id_of,
)
from sessiontrace.server.apis.humanloop.responses import (
    error_response,
    feedback_of,
    log_response,
    page_of,
    page_of_logs,
    project_response,
    session_response,
)
from sessiontrace.server.http import (
    RequestRejected,
    json_response,
    read_body,
    read_json,
    with_vendor_errors,
)
from sessiontrace.server.store_changes import Change
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import StoreWriter
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["routes"]

Body = dict[str, Any]

_SCANNED = 10_000


def routes(readers: StoreReaders, writer: StoreWriter) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api = _Api(readers, writer)
    table = [
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
        for method, path, handler in table
    ]


class _Api:
    def __init__(self, readers: StoreReaders, writer: StoreWriter) -> None:
        self._readers = readers
        self._writer = writer

    # -- sessions ---------------------------------------------------------------------------

    async def create_session(self, request: web.Request) -> web.Response:
        await read_body(request)  # clients send any body here, or none
        session_id, now = str(uuid.uuid4()), record_builder.now_ms()
        note = Document(SESSION, session_id, now, {"projects": []})

        def plan(_: Store) -> tuple[Change, None]:
            record = record_builder.session(session_id, now, source="humanloop")
            return Change([record], [note]), None

        await self._writer.transact(frozenset(), plan)
        return json_response({"id": mapping.prefixed("sesh_", session_id)}, 201)

    async def session(self, request: web.Request) -> web.Response:
        session_id = mapping.unprefixed("sesh_", request.match_info["id"])
        response = None
        if session_id is not None:
            response = await self._readers.query(lambda store: session_response(store, session_id))
        if response is None:
            raise RequestRejected(404, f"Session with ID {request.match_info['id']!r} not found.")
        return json_response(response)

    async def sessions(self, request: web.Request) -> web.Response:
        project_id = request.query.get("project_id")
        if not project_id:
            raise RequestRejected(422, "query.project_id: field required")
        page, size = paging(request, first=1, usual=10)

        def read(store: Store) -> Body:
            kind = f"{SESSION}:{project_id}"
            # The Node client walks back to page 0, and stops at an answer that says so.
            documents, total = store.documents(kind, max(0, page - 1) * size, size if page else 0)
            responses = [session_response(store, document.id) for document in documents]
            return page_of([response for response in responses if response], page, size, total)

        return json_response(await self._readers.query(read))

    # -- logs -------------------------------------------------------------------------------

    async def log(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if isinstance(body, list):
            return json_response(await self._log([object_of(entry) for entry in body]))
        return json_response((await self._log([object_of(body)]))[0])

    async def trace(self, request: web.Request) -> web.Response:
        """The nested logs of clients before 0.5: all in one session, each below its parent."""
        body = object_of(await read_json(request))
        session_id = mapping.prefixed("sesh_", str(uuid.uuid4()))
        entries: list[Body] = []
        waiting: list[tuple[Body, str | None]] = [(entry, None) for entry in list_of(body, "logs")]
        while waiting:
            entry, parent = waiting.pop(0)
            entry = dict(object_of(entry))
            children = list_of(entry, "children")
            entry.pop("children", None)
            entry["reference_id"] = entry.get("reference_id") or str(uuid.uuid4())
            entry["session_reference_id"] = entry.get("session_reference_id") or session_id
            if parent is not None:
                entry["parent_reference_id"] = parent
            entries.append(entry)
            waiting += [(child, entry["reference_id"]) for child in children]
        answers = await self._log(entries)
        first = answers[0] if answers else {}
        return json_response({"session_id": first.get("session_id", session_id)})

    async def _log(self, entries: Sequence[Body]) -> list[Body]:
        for entry in entries:
            check_log(entry)
        event_ids = [mapping.event_id_for(entry.get("reference_id")) for entry in entries]
        touches = {*event_ids, "humanloop"}

        def plan(store: Store) -> tuple[Change, list[Body]]:
            projects = Projects(store)
            records: list[Record] = []
            answers: list[Body] = []
            for entry, event_id in zip(entries, event_ids, strict=True):
                project = projects.project(entry)
                session_id, in_session = session_id_of(projects, entry)
                fields = mapping.fields_of(entry, event_id, extra_of(entry, project, in_session))
                fields["feedback"] = projects.feedback(event_id, entry.get("feedback")) or None
                records += projects.session(session_id, project, fields, entry)
                records.append(
                    mapping.record_of(fields, session_id=session_id, parent_id=parent_id_of(entry))
                )
                projects.file(project, event_id, session_id, fields["start_time"])
                if entry.get("session_reference_id"):
                    projects.name_session(session_id, str(entry["session_reference_id"]))
                reply = {"id": mapping.prefixed("data_", event_id), "project_id": project.id}
                if in_session:
                    reply["session_id"] = mapping.prefixed("sesh_", session_id)
                answers.append(reply)
            return Change(records, projects.notes), answers

        return await self._writer.transact(frozenset(touches), plan)

    async def one_log(self, request: web.Request) -> web.Response:
        event_id = data_id(request.match_info["id"])
        response = await self._readers.query(lambda store: log_response(store, event_id))
        if response is None:
            raise RequestRejected(404, f"Log with ID {request.match_info['id']!r} not found.")
        return json_response(response)

    async def logs(self, request: web.Request) -> web.Response:
        project_id = request.query.get("project_id")
        if not project_id:
            raise RequestRejected(422, "query.project_id: field required")
        page, size = paging(request, first=0, usual=50)
        query = dict(request.query)
        return json_response(
            await self._readers.query(
                lambda store: page_of_logs(store, project_id, query, page, size)
            )
        )

    async def export(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]
        page, size = paging(request, first=0, usual=10)
        return json_response(
            await self._readers.query(lambda store: page_of_logs(store, project_id, {}, page, size))
        )

    async def update(self, request: web.Request) -> web.Response:
        return await self._update(data_id(request.match_info["id"]), await read_json(request))

    async def update_by_reference(self, request: web.Request) -> web.Response:
        reference = request.query.get("reference_id")
        if not reference:
            raise RequestRejected(422, "query.reference_id: field required")
        return await self._update(mapping.event_id_for(reference), await read_json(request))

    async def _update(self, event_id: str, body: Any) -> web.Response:
        changes = object_of(body)

        def plan(store: Store) -> tuple[Change, Body | None]:
            record = store.record(event_id)
            if record is None:
                return Change(), None
            values = mapping.changes_of(changes, record)
            updated = {**record, **{k: v for k, v in values.items() if k != "metadata"}}
            if "metadata" in values:
                updated["metadata"] = {**record["metadata"], **values["metadata"]}
            patch = record_builder.patch(event_id, record["session_id"], values)
            response = mapping.log_response(updated, feedback_of(store, event_id))
            return Change([patch] if values else []), response

        response = await self._writer.transact(frozenset((event_id,)), plan)
        if response is None:
            raise RequestRejected(404, "Log not found.")
        return json_response(response)

    async def delete_logs(self, request: web.Request) -> web.Response:
        event_ids = [data_id(log_id) for log_id in request.query.getall("id", [])]

        def plan(store: Store) -> tuple[Change, None]:
            documents: list[Document] = []
            for event_id in event_ids:
                raw = ((store.record(event_id) or {}).get("metadata") or {}).get("humanloop") or {}
                if raw.get("project_id"):
                    documents.append(Document(f"{LOG}:{raw['project_id']}", event_id, 0, None))
            return Change((), documents, event_ids), None

        await self._writer.transact(frozenset(event_ids), plan)
        return web.Response(status=204)

    # -- feedback ---------------------------------------------------------------------------

    async def feedback(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        entries = [object_of(entry) for entry in (body if isinstance(body, list) else [body])]
        targets = [mapping.unprefixed("data_", entry.get("data_id")) for entry in entries]
        if None in targets:
            raise RequestRejected(422, "body.data_id: field required")

        def plan(store: Store) -> tuple[Change, list[Body]]:
            projects = Projects(store)
            patches: list[Record] = []
            for entry, event_id in zip(entries, targets, strict=True):
                record = store.record(event_id or "")
                if record is None or event_id is None:
                    raise RequestRejected(404, f"Log with ID {entry.get('data_id')!r} not found.")
                change = projects.feedback(event_id, entry)
                patches.append(
                    record_builder.patch(event_id, record["session_id"], {"feedback": change})
                )
            return Change(patches, projects.notes), projects.answers

        touches = frozenset(event_id for event_id in targets if event_id)
        answers = await self._writer.transact(touches, plan)
        return json_response(answers if isinstance(body, list) else answers[0])

    # -- projects ---------------------------------------------------------------------------

    async def create_project(self, request: web.Request) -> web.Response:
        body = object_of(await read_json(request))
        name = body.get("name")
        if not isinstance(name, str) or not name:
            raise RequestRejected(422, "body.name: field required")

        def plan(store: Store) -> tuple[Change, Body]:
            projects = Projects(store)
            project = projects.project_named(name, body)
            return Change((), projects.notes), project_response(store, project)

        response = await self._writer.transact(frozenset(("humanloop",)), plan)
        return json_response(response, 201)

    async def projects(self, request: web.Request) -> web.Response:
        page, size = paging(request, first=0, usual=10)
        term = request.query.get("filter", "").casefold()
        oldest = request.query.get("order") == "asc"
        by_name = request.query.get("sort_by") == "name"

        def read(store: Store) -> Body:
            documents, _ = store.documents(PROJECT, 0, _SCANNED, oldest_first=oldest)
            projects = [Project.of(document) for document in documents]
            projects = [project for project in projects if term in project.name.casefold()]
            if by_name:
                projects.sort(key=lambda project: project.name, reverse=not oldest)
            on_page = projects[page * size : (page + 1) * size]
            responses = [project_response(store, project) for project in on_page]
            return page_of(responses, page, size, len(projects))

        return json_response(await self._readers.query(read))

    async def project(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]

        def read(store: Store) -> Body:
            return project_response(store, Projects(store).by_id(project_id))

        return json_response(await self._readers.query(read))

    async def update_project(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]
        body = object_of(await read_json(request))

        def plan(store: Store) -> tuple[Change, Body]:
            projects = Projects(store)
            project = projects.change(projects.by_id(project_id), body)
            return Change((), projects.notes), project_response(store, project)

        return json_response(await self._writer.transact(frozenset(("humanloop",)), plan))

    async def delete_project(self, request: web.Request) -> web.Response:
        project_id = request.match_info["id"]

        def plan(store: Store) -> tuple[Change, None]:
            projects = Projects(store)
            projects.remove(projects.by_id(project_id))
            return Change((), projects.notes), None

        await self._writer.transact(frozenset(("humanloop",)), plan)
        return web.Response(status=204)
