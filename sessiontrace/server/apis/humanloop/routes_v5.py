"""Humanloop's v5 API over the local store: flow, prompt, tool, agent and evaluator logs.

Runs on the server's loop. A flow log without a parent is a session; every other log is an event
below its ``trace_parent_id``. Invariant: ``log_id`` names a log for good, so that the same request
again is the same log.

POST /v5/{flows,prompts,tools,agents,evaluators}/log
PATCH /v5/flows/logs/{log_id}   PATCH /v5/{prompts,tools,agents}/{id}/log/{log_id}
GET /v5/logs?file_id   GET /v5/logs/{log_id}   DELETE /v5/logs?id=   POST /v5/import/otel/v1/traces
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sessiontrace.model.ids import is_uuid
from sessiontrace.model.record import END, EVENT, START
from sessiontrace.model.step_types import step_type
from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping
from sessiontrace.server.apis.humanloop.responses import error_response
from sessiontrace.server.apis.otlp.intake import Intake
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

_KINDS = {  # route -> the file's kind, the prefix of its id, the record's type
    "flows": ("flow", "fl_", "chain"),
    "prompts": ("prompt", "pr_", "model"),
    "tools": ("tool", "tl_", "tool"),
    "agents": ("agent", "ag_", "agent"),
    "evaluators": ("evaluator", "ev_", "evaluator"),
}
_FILE_LOG = "humanloop.file-log"
_LOG_ID = "humanloop.log-id"
_SIZE_MOST = 100


def routes(readers: StoreReaders, writer: StoreWriter, intake: Intake) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api = _Api(readers, writer, intake)
    kinds = "|".join(_KINDS)
    table = [
        ("POST", f"/v5/{{kind:{kinds}}}/log", api.log),
        ("PATCH", "/v5/flows/logs/{log_id}", api.update),
        ("PATCH", f"/v5/{{kind:{kinds}}}/{{id}}/log/{{log_id}}", api.update),
        ("GET", "/v5/logs", api.logs),
        ("GET", "/v5/logs/{log_id}", api.one_log),
        ("DELETE", "/v5/logs", api.delete),
        ("POST", "/v5/import/otel/v1/traces", api.import_spans),
    ]
    return [
        web.route(method, path, with_vendor_errors(handler, error_response))
        for method, path, handler in table
    ]


class _Api:
    def __init__(self, readers: StoreReaders, writer: StoreWriter, intake: Intake) -> None:
        self._readers = readers
        self._writer = writer
        self._intake = intake

    async def log(self, request: web.Request) -> web.Response:
        route = request.match_info["kind"]
        kind, prefix, usual = _KINDS[route]
        body = _object(await read_json(request))
        if not body.get("path") and not body.get("id"):
            raise RequestRejected(422, "body.path: one of path and id is required")
        file_id = str(body.get("id") or prefix + mapping.short_hash(body["path"]))
        event_id = _event_id(body.get("log_id"))
        log_id = str(body.get("log_id") or mapping.prefixed("log_", event_id))
        version = f"{prefix[0]}v_{mapping.short_hash(body.get(kind))}"
        fields = _fields(body, kind, usual, event_id)
        fields["metadata"]["humanloop"] |= {
            "file_id": file_id, "version_id": version, "log_id": log_id, "kind": kind,
        }  # fmt: skip

        def plan(store: Store) -> tuple[Change, Body]:
            if (judgment := _judged(store, body, kind)) is not None:
                return judgment, {"id": log_id, "evaluator_id": file_id, "version_id": version}
            parent_id = _parent_id(store, body)
            session_id = _session_id(store, body, parent_id, event_id, kind)
            status = body.get("log_status") or body.get("trace_status")
            reply = {"id": log_id, f"{kind}_id": file_id, "version_id": version}
            if session_id == event_id:
                # A complete flow has its end, whatever comes later.
                opening = status == "incomplete" and fields.get("end_time") is None
                record = record_builder.build_record(
                    START if opening else END,
                    {**fields, "session_id": session_id, "event_type": "session"},
                )
            else:
                ids = {"session_id": session_id, "parent_id": parent_id or session_id}
                record = record_builder.build_record(EVENT, {**fields, **ids})
                reply["session_id"] = mapping.prefixed("sesh_", session_id)
            notes = [
                Document(f"{_FILE_LOG}:{file_id}", event_id, fields["start_time"], {}),
                Document(_LOG_ID, log_id, fields["start_time"], {"event_id": event_id}),
            ]
            return Change([record], notes), reply | ({"log_status": status} if status else {})

        parents = (body.get("trace_parent_id"), body.get("parent_id"))
        touches = frozenset((event_id, *map(str, parents)))
        return json_response(await self._writer.transact(touches, plan))

    async def update(self, request: web.Request) -> web.Response:
        log_id = request.match_info["log_id"]
        body = _object(await read_json(request))

        def plan(store: Store) -> tuple[Change, Body | None]:
            event_id = _known_id(store, log_id)
            record = store.record(event_id)
            if record is None:
                return Change(), None
            changes = {**mapping.changes_of(body, record), **_ended(body, record)}
            updated = {**record, **{k: v for k, v in changes.items() if k != "metadata"}}
            patch = record_builder.patch(event_id, record["session_id"], changes)
            records = [patch] if changes else []
            status = body.get("log_status") or body.get("trace_status")
            if event_id == record["session_id"] and status == "complete":
                # A session's status follows its own record, so the record is written again, ended.
                session = {**record, **changes, "event_type": "session"}
                session.pop("parent_id", None)
                records.append(record_builder.build_record(END, session))
            response = _log_response(updated)
            return Change(records), response | ({"log_status": status} if status else {})

        response = await self._writer.transact(frozenset((log_id, _event_id(log_id))), plan)
        if response is None:
            raise RequestRejected(404, f"Log with ID {log_id!r} not found.")
        return json_response(response)

    async def one_log(self, request: web.Request) -> web.Response:
        log_id = request.match_info["log_id"]
        record = await self._readers.query(lambda store: store.record(_known_id(store, log_id)))
        if record is None:
            raise RequestRejected(404, f"Log with ID {log_id!r} not found.")
        return json_response(_log_response(record))

    async def logs(self, request: web.Request) -> web.Response:
        file_id = request.query.get("file_id")
        if not file_id:
            raise RequestRejected(422, "query.file_id: field required")
        page = _whole(request, "page", 1)
        size = max(1, min(_whole(request, "size", 10), _SIZE_MOST))

        def read(store: Store) -> Body:
            kind = f"{_FILE_LOG}:{file_id}"
            documents, total = store.documents(kind, max(0, page - 1) * size, size)
            records = [store.record(document.id) for document in documents]
            responses = [_log_response(record) for record in records if record is not None]
            return {"records": responses, "page": page, "size": size, "total": total}

        return json_response(await self._readers.query(read))

    async def delete(self, request: web.Request) -> web.Response:
        log_ids = request.query.getall("id", [])

        def plan(store: Store) -> tuple[Change, None]:
            event_ids = [_known_id(store, log_id) for log_id in log_ids]
            documents = [Document(_LOG_ID, log_id, 0, None) for log_id in log_ids]
            for event_id in event_ids:
                file_id = _raw(store.record(event_id) or {}).get("file_id")
                documents.append(Document(f"{_FILE_LOG}:{file_id}", event_id, 0, None))
            return Change((), documents, event_ids), None

        await self._writer.transact(frozenset(log_ids), plan)
        return web.Response(status=204)

    async def import_spans(self, request: web.Request) -> web.Response:
        """The spans of the client's decorators; they come without a content type."""
        outcome = await self._intake.traces(await read_body(request), binary=False)
        return json_response(
            {"records": [mapping.prefixed("log_", event_id) for event_id in outcome.event_ids]}
        )


def _object(body: Any) -> Body:
    if not isinstance(body, dict):
        raise RequestRejected(422, "body: value is not a valid dict")
    return body


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestRejected(422, f"query.{name}: value is not a valid integer")
    return int(text)


def _event_id(log_id: Any) -> str:
    """The event id of a log id, whether the caller or the server chose it."""
    if not isinstance(log_id, str) or not log_id:
        return str(uuid.uuid4())
    if is_uuid(log_id):
        return log_id.lower()
    ours = mapping.unprefixed("log_", log_id)
    if ours is not None and is_uuid(ours):
        return ours
    return record_builder.own_id("humanloop.log", log_id)


def _known_id(store: Store, log_id: str) -> str:
    note = store.document(_LOG_ID, log_id)
    return _event_id(log_id) if note is None else str(note["event_id"])


def _parent_id(store: Store, body: Body) -> str | None:
    parent = body.get("trace_parent_id")
    return _known_id(store, parent) if isinstance(parent, str) and parent else None


def _judged(store: Store, body: Body, kind: str) -> Change | None:
    """An evaluator's judgment of another log, as feedback to that log; None for any other log."""
    log_id = body.get("parent_id")
    if kind != "evaluator" or not isinstance(log_id, str) or body.get("judgment") is None:
        return None
    event_id = _known_id(store, log_id)
    record = store.record(event_id)
    if record is None:
        raise RequestRejected(404, f"Log with ID {log_id!r} not found.")
    name = str(body.get("path") or body.get("id")).rpartition("/")[2]
    change = {"feedback": {name: body["judgment"]}}
    return Change([record_builder.patch(event_id, record["session_id"], change)])


def _session_id(store: Store, body: Body, parent_id: str | None, event_id: str, kind: str) -> str:
    metadata = body.get("metadata")
    reference = metadata.get("session_id") if isinstance(metadata, dict) else None
    if isinstance(reference, str) and reference:
        return record_builder.session_id_for(reference)[0]
    if parent_id is not None:
        parent = store.record(parent_id)
        # An unknown parent is the flow of the trace, which may arrive later.
        return parent_id if parent is None else str(parent["session_id"])
    if kind == "flow":
        return event_id
    return record_builder.own_id("humanloop.session", event_id)


def _fields(body: Body, kind: str, type: str, event_id: str) -> Body:
    config = body.get(kind)
    settings = config if isinstance(config, dict) else {}
    if kind == "tool" and isinstance(settings.get("function"), dict):
        settings = {**settings, **settings["function"]}
    # The same fields as in v4 under other names.
    request = {**body, "config": {**settings, "type": "model" if type == "model" else "tool"}}
    path = str(body.get("path") or "")
    fields = mapping.fields_of(request, event_id, {"path": path, "project_name": path})
    metadata = body.get("metadata") if isinstance(body.get("metadata"), dict) else {}
    assert isinstance(metadata, dict)
    fields["event_type"] = step_type(metadata.get("event_type")) or type
    fields["event_name"] = metadata.get("event_name") or path.rpartition("/")[2] or "unknown"
    if isinstance(body.get("user"), str):
        fields["user_properties"] = {"user_id": body["user"]}
    fields["metadata"]["humanloop"].pop("config", None)
    fields["metadata"]["humanloop"][kind] = config
    return fields


def _ended(body: Body, record: Mapping[str, Any]) -> Body:
    """The end time of a completed log that has none: now."""
    status = body.get("log_status") or body.get("trace_status")
    if status != "complete" or record.get("duration"):
        return {}
    start = record_builder.number(record.get("start_time")) or 0
    return record_builder.whole_times(start, max(start, record_builder.now_ms()), None, 0)


def _raw(record: Mapping[str, Any]) -> Body:
    raw = (record.get("metadata") or {}).get("humanloop")
    return raw if isinstance(raw, dict) else {}


def _log_response(record: Mapping[str, Any]) -> Body:
    raw = _raw(record)
    response = mapping.log_response(record, [])
    for name in ("config", "project", "session_id", "data_id", "parent_id", "duration"):
        response.pop(name, None)
    kind = str(raw.get("kind") or "flow")
    times = {
        f"{name}_time": record_builder.iso(record[f"{name}_time"])
        for name in ("start", "end")
        if record.get(f"{name}_time") is not None
    }
    return {
        **response,
        **times,
        "id": raw.get("log_id") or mapping.prefixed("log_", record["event_id"]),
        kind: {
            "id": raw.get("file_id"),
            "path": raw.get("path"),
            "version_id": raw.get("version_id"),
        },
        "trace_parent_id": record.get("parent_id"),
    }
