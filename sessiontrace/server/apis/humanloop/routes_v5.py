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
from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping as logs
from sessiontrace.server.apis.humanloop.responses import error_response
from sessiontrace.server.apis.otlp import routes as otlp
from sessiontrace.server.http import RequestRejected, json_of, json_response, with_vendor_errors
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.server.store_writer import Change, StoreWriter
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["routes"]

Body = dict[str, Any]

_KINDS = {  # route -> the file's kind, the prefix of its id, the record's type
    "flows": ("flow", "fl_", "chain"),
    "prompts": ("prompt", "pr_", "model"),
    "tools": ("tool", "tl_", "tool"),
    "agents": ("agent", "ag_", "chain"),
    "evaluators": ("evaluator", "ev_", "chain"),
}
_FILE_LOG = "humanloop.file-log"
_LOG_ID = "humanloop.log-id"
_SIZE_MOST = 100


def routes(reading: StoreReaders, writing: StoreWriter) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api = _Api(reading, writing)
    kinds = "|".join(_KINDS)
    listed = [
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
        for method, path, handler in listed
    ]


class _Api:
    def __init__(self, reading: StoreReaders, writing: StoreWriter) -> None:
        self._reading = reading
        self._writing = writing

    async def log(self, request: web.Request) -> web.Response:
        route = request.match_info["kind"]
        kind, prefix, usual = _KINDS[route]
        given = _object(await json_of(request))
        if not given.get("path") and not given.get("id"):
            raise RequestRejected(422, "body.path: one of path and id is required")
        file_id = str(given.get("id") or prefix + logs.short_hash(given["path"]))
        event_id = _event_id(given.get("log_id"))
        log_id = str(given.get("log_id") or logs.prefixed("log_", event_id))
        version = f"{prefix[0]}v_{logs.short_hash(given.get(kind))}"
        fields = _fields(given, kind, usual, event_id)
        fields["metadata"]["humanloop"] |= {
            "file_id": file_id, "version_id": version, "log_id": log_id, "kind": kind,
        }  # fmt: skip

        def plan(store: Store) -> tuple[Change, Body]:
            if (judged := _judged(store, given, kind)) is not None:
                return judged, {"id": log_id, "evaluator_id": file_id, "version_id": version}
            parent_id = _parent_id(store, given)
            session_id = _session_id(store, given, parent_id, event_id, kind)
            status = given.get("log_status") or given.get("trace_status")
            reply = {"id": log_id, f"{kind}_id": file_id, "version_id": version}
            if session_id == event_id:
                # Once complete, a flow has its end, whatever else comes.
                opening = status == "incomplete" and fields.get("end_time") is None
                made = record_builder.build_record(
                    START if opening else END,
                    {**fields, "session_id": session_id, "event_type": "session"},
                )
            else:
                above = {"session_id": session_id, "parent_id": parent_id or session_id}
                made = record_builder.build_record(EVENT, {**fields, **above})
                reply["session_id"] = logs.prefixed("sesh_", session_id)
            notes = [
                Document(f"{_FILE_LOG}:{file_id}", event_id, fields["start_time"], {}),
                Document(_LOG_ID, log_id, fields["start_time"], {"event_id": event_id}),
            ]
            return Change([made], notes), reply | ({"log_status": status} if status else {})

        parents = (given.get("trace_parent_id"), given.get("parent_id"))
        touches = frozenset((event_id, *map(str, parents)))
        return json_response(await self._writing.transact(touches, plan))

    async def update(self, request: web.Request) -> web.Response:
        log_id = request.match_info["log_id"]
        given = _object(await json_of(request))

        def plan(store: Store) -> tuple[Change, Body | None]:
            event_id = _known_id(store, log_id)
            known = store.record(event_id)
            if known is None:
                return Change(), None
            settled = {**logs.updated(given, known), **_ended(given, known)}
            shown = {**known, **{k: v for k, v in settled.items() if k != "metadata"}}
            patch = record_builder.patch(event_id, known["session_id"], settled)
            made = [patch] if settled else []
            status = given.get("log_status") or given.get("trace_status")
            if event_id == known["session_id"] and status == "complete":
                # A session's status follows its own record: it is written again, as ended.
                whole = {k: v for k, v in {**known, **settled}.items() if k != "parent_id"}
                made.append(record_builder.build_record(END, {**whole, "event_type": "session"}))
            return Change(made), _shown(shown) | ({"log_status": status} if status else {})

        shown = await self._writing.transact(frozenset((log_id, _event_id(log_id))), plan)
        if shown is None:
            raise RequestRejected(404, f"Log with ID {log_id!r} not found.")
        return json_response(shown)

    async def one_log(self, request: web.Request) -> web.Response:
        log_id = request.match_info["log_id"]
        found = await self._reading.query(lambda store: store.record(_known_id(store, log_id)))
        if found is None:
            raise RequestRejected(404, f"Log with ID {log_id!r} not found.")
        return json_response(_shown(found))

    async def logs(self, request: web.Request) -> web.Response:
        file_id = request.query.get("file_id")
        if not file_id:
            raise RequestRejected(422, "query.file_id: field required")
        page = _whole(request, "page", 1)
        size = max(1, min(_whole(request, "size", 10), _SIZE_MOST))

        def read(store: Store) -> Body:
            kind = f"{_FILE_LOG}:{file_id}"
            found, total = store.notes(kind, max(0, page - 1) * size, size)
            known = [store.record(note.id) for note in found]
            shown = [_shown(one) for one in known if one is not None]
            return {"records": shown, "page": page, "size": size, "total": total}

        return json_response(await self._reading.query(read))

    async def delete(self, request: web.Request) -> web.Response:
        log_ids = request.query.getall("id", [])

        def plan(store: Store) -> tuple[Change, None]:
            event_ids = [_known_id(store, one) for one in log_ids]
            gone = [Document(_LOG_ID, one, 0, None) for one in log_ids]
            for event_id in event_ids:
                file_id = _raw(store.record(event_id) or {}).get("file_id")
                gone.append(Document(f"{_FILE_LOG}:{file_id}", event_id, 0, None))
            return Change((), gone, event_ids), None

        await self._writing.transact(frozenset(log_ids), plan)
        return web.Response(status=204)

    async def import_spans(self, request: web.Request) -> web.Response:
        """What the client's decorators send; it comes without a content type."""
        spans, _ = otlp.spans_of_json(await json_of(request))
        event_ids = await otlp.write_spans(self._writing, spans)
        return json_response(
            {"records": [logs.prefixed("log_", event_id) for event_id in event_ids]}
        )


def _object(given: Any) -> Body:
    if not isinstance(given, dict):
        raise RequestRejected(422, "body: value is not a valid dict")
    return given


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestRejected(422, f"query.{name}: value is not a valid integer")
    return int(text)


def _event_id(log_id: Any) -> str:
    """The event that a log id stands for, whether the caller chose it or we did."""
    if not isinstance(log_id, str) or not log_id:
        return str(uuid.uuid4())
    if is_uuid(log_id):
        return log_id.lower()
    ours = logs.unprefixed("log_", log_id)
    if ours is not None and is_uuid(ours):
        return ours
    return record_builder.own_id("humanloop.log", log_id)


def _known_id(store: Store, log_id: str) -> str:
    note = store.note(_LOG_ID, log_id)
    return _event_id(log_id) if note is None else str(note["event_id"])


def _parent_id(store: Store, given: Body) -> str | None:
    parent = given.get("trace_parent_id")
    return _known_id(store, parent) if isinstance(parent, str) and parent else None


def _judged(store: Store, given: Body, kind: str) -> Change | None:
    """An evaluator's judgment of a log, as feedback to it; None for any other log."""
    about = given.get("parent_id")
    if kind != "evaluator" or not isinstance(about, str) or given.get("judgment") is None:
        return None
    event_id = _known_id(store, about)
    known = store.record(event_id)
    if known is None:
        raise RequestRejected(404, f"Log with ID {about!r} not found.")
    name = str(given.get("path") or given.get("id")).rpartition("/")[2]
    change = {"feedback": {name: given["judgment"]}}
    return Change([record_builder.patch(event_id, known["session_id"], change)])


def _session_id(store: Store, given: Body, parent_id: str | None, event_id: str, kind: str) -> str:
    metadata = given.get("metadata")
    named = metadata.get("session_id") if isinstance(metadata, dict) else None
    if isinstance(named, str) and named:
        return record_builder.session_id_for(named)[0]
    if parent_id is not None:
        known = store.record(parent_id)
        # A parent that is not here is taken for the flow that the trace is.
        return parent_id if known is None else str(known["session_id"])
    if kind == "flow":
        return event_id
    return record_builder.own_id("humanloop.session", event_id)


def _fields(given: Body, kind: str, type: str, event_id: str) -> Body:
    config = given.get(kind)
    told = config if isinstance(config, dict) else {}
    if kind == "tool" and isinstance(told.get("function"), dict):
        told = {**told, **told["function"]}
    # The same fields as in v4 under other names.
    request = {**given, "config": {**told, "type": "model" if type == "model" else "tool"}}
    path = str(given.get("path") or "")
    fields = logs.fields_of(request, event_id, {"path": path, "project_name": path})
    metadata = given.get("metadata") if isinstance(given.get("metadata"), dict) else {}
    assert isinstance(metadata, dict)
    fields["event_type"] = metadata.get("event_type") or type
    if fields["event_type"] not in ("model", "tool", "chain"):
        fields["event_type"] = type
    fields["event_name"] = metadata.get("event_name") or path.rpartition("/")[2] or "unknown"
    if isinstance(given.get("user"), str):
        fields["user_properties"] = {"user_id": given["user"]}
    fields["metadata"]["humanloop"].pop("config", None)
    fields["metadata"]["humanloop"][kind] = config
    return fields


def _ended(given: Body, known: Mapping[str, Any]) -> Body:
    """When a log that is completed ended, if it did not say so."""
    status = given.get("log_status") or given.get("trace_status")
    if status != "complete" or known.get("duration"):
        return {}
    start = record_builder.number(known.get("start_time")) or 0
    return record_builder.whole_times(start, max(start, record_builder.now_ms()), None, 0)


def _raw(record: Mapping[str, Any]) -> Body:
    found = (record.get("metadata") or {}).get("humanloop")
    return found if isinstance(found, dict) else {}


def _shown(record: Mapping[str, Any]) -> Body:
    raw = _raw(record)
    found = logs.log(record, [])
    for name in ("config", "project", "session_id", "data_id", "parent_id", "duration"):
        found.pop(name, None)
    kind = str(raw.get("kind") or "flow")
    times = {
        f"{name}_time": record_builder.iso(record[f"{name}_time"])
        for name in ("start", "end")
        if record.get(f"{name}_time") is not None
    }
    return {
        **found,
        **times,
        "id": raw.get("log_id") or logs.prefixed("log_", record["event_id"]),
        kind: {
            "id": raw.get("file_id"),
            "path": raw.get("path"),
            "version_id": raw.get("version_id"),
        },
        "trace_parent_id": record.get("parent_id"),
    }
