"""Humanloop v5's pure half: records to flow, prompt and tool logs, and what the answers mean.

No I/O, no clock. Version 5 has no batch route for logs, so there is one request for each; a trace
is a flow log that stays ``incomplete`` until all its children are there. What becomes of a record:

==========================  =======================================================================
record                      Humanloop v5
==========================  =======================================================================
start, open                 nothing when its end is in the same batch; else an incomplete flow log
end of a session or turn    ``POST /flows/log`` (incomplete), and after its children
                            ``PATCH /flows/logs/{id}`` with ``log_status: complete``
event chain                 the same, below its parent
event model                 ``POST /prompts/log``
event tool                  ``POST /tools/log``
update: outputs, error      ``PATCH`` of a log whose route this process knows
update: metrics, feedback   ``POST /evaluators/log`` for each, with the event as ``parent_id`` and
                            the value as ``judgment`` of an external evaluator
update: anything else       refused
metrics, feedback           ``metadata.metrics``, ``metadata.feedback``
event_id                    ``log_id``, so that a repetition meets the same log
parent_id                   ``trace_parent_id`` when the parent went before; else the session's log
                            and ``metadata.parent_reference_id``
session_id                  ``metadata.session_id``
event_name                  ``path``: project/name, made of letters, digits, ``.``, ``_``, ``-``
start_time, end_time        ``start_time``, ``end_time``; duration ``provider_latency`` in seconds
all else                    as in v4
==========================  =======================================================================

Source: Humanloop's Python client 0.8.38; that an evaluator's log may bring its specification along
is read from the client, not seen at the hosted service. Invariant: a log goes in a later stage than
its parent, and no flow is completed before its last child of the same batch has gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from sessiontrace.export.protocol import Batch, Delivered, Invalid, Limits, Outcome, Reply, Request
from sessiontrace.model import payload
from sessiontrace.model.fields import SCORES
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.record import EVENT, OPEN, START, Record
from sessiontrace.model.step_types import base_of
from sessiontrace.runtime.throttle import throttled
from sessiontrace.vendors.humanloop import log_payload
from sessiontrace.vendors.humanloop.parent_order import Forest, Node
from sessiontrace.vendors.shared import responses
from sessiontrace.vendors.shared.truncate import truncate_record

__all__ = ["HumanloopFlowsExporter"]

Body = dict[str, Any]

_REMEMBERED = 20_000
_SMALL = 64 << 10
_UNSAFE = re.compile(r"[^A-Za-z0-9._ -]+")
_JUDGMENTS = "/evaluators/log"
_ROUTES = {"model": "/prompts/log", "tool": "/tools/log"}


class HumanloopFlowsExporter:
    """Exporter for one directory (``project``) of a Humanloop v5 API.

    It remembers the routes by which the last 20 000 logs can be changed.
    """

    limits: Limits = Limits(max_records=10_000, max_bytes=16 << 20, max_age_s=1.0, concurrency=8)

    def __init__(self, project: str = "sessiontrace") -> None:
        self._project = project
        self._routes: LruCache[str, str] = LruCache(_REMEMBERED)

    def encode(self, batch: Batch) -> Iterator[Iterator[Request]]:
        """A stage for each level of logs, then one for what completes them."""
        forest = Forest(batch.records, by_session=True)
        later: list[Node] = []
        for level in forest.levels():
            yield self._posts(forest, level, later)
        yield self._updates(later, forest.strays)
        level = later = []
        forest.dissolve()

    # -- encoding ---------------------------------------------------------------------------

    def _posts(self, forest: Forest, level: Sequence[Node], later: list[Node]) -> Iterator[Request]:
        for node in throttled(level):
            if node.updates or (_is_flow(node) and node.kind not in (START, OPEN)):
                later.append(node)
            if not node.parent_id and node.event["event_id"] in self._routes:
                continue
            route = _ROUTES.get(str(base_of(node.event)), "/flows/log")
            body = payload.compact_json(self._log(forest, node))
            event_ids = (node.event["event_id"],)
            yield Request("POST", route, body, tuple(node.records), event_ids)

    def _log(self, forest: Forest, node: Node) -> Body:
        event = node.event
        for update in node.updates:
            event = {**event, **{k: update[k] for k in ("outputs", "error") if k in update}}
        log = log_payload.log(event, self._project)
        body: Body = {
            "path": self._path(event),
            "log_id": event["event_id"],
            "metadata": {**log["metadata"], "session_id": event["session_id"]},
        }
        for name in SCORES:
            if entries := payload.bucket(event, name):
                body["metadata"][name] = entries
        for name in ("inputs", "source", "output", "error", "messages", "output_message"):
            if name in log:
                body[name] = log[name]
        for name in ("start_time", "end_time"):
            if (at := payload.milliseconds(event, name)) is not None:
                body[name] = payload.rfc3339(at)
        if "duration" in log:
            body["provider_latency"] = log["duration"]
        body.update(self._kind(event, log))
        self._hang(forest, node, body)
        return body

    def _kind(self, event: Body, log: Body) -> Body:
        if base_of(event) == "model":
            prompt = {k: v for k, v in log["config"].items() if k != "type"}
            names = ("prompt_tokens", "output_tokens", "prompt_cost", "output_cost")
            return {"prompt": prompt, **{name: log[name] for name in names if name in log}}
        name = payload.text(event.get("event_name") or "unknown")
        if base_of(event) == "tool":
            function = {"name": name, "description": "", "parameters": {}}
            return {"tool": {"function": function}}
        return {"flow": {"attributes": {"name": name}}, "log_status": "incomplete"}

    def _hang(self, forest: Forest, node: Node, body: Body) -> None:
        """Set the parent; the session where the parent is unknown."""
        parent, above = node.parent_id, forest.above(node)
        if parent is not None and parent in self._routes:
            body["trace_parent_id"] = parent
        elif above is not None:
            body["trace_parent_id"] = above.event["event_id"]
        elif node.kind == EVENT and node.event["session_id"] in self._routes:
            body["trace_parent_id"] = node.event["session_id"]
        if parent is not None and body.get("trace_parent_id") != parent:
            body["metadata"]["parent_reference_id"] = parent

    def _path(self, event: Body) -> str:
        name = _UNSAFE.sub("_", payload.text(event.get("event_name") or "unknown")).strip(" .")
        return f"{self._project}/{name[:100] or 'unknown'}"

    def _updates(
        self, later: Sequence[Node], strays: Sequence[tuple[int, Body]]
    ) -> Iterator[Request]:
        for node in reversed(later):  # an inner flow before the outer one
            if _is_flow(node) and node.kind not in (START, OPEN):
                yield self._completed(node)
            for update in node.updates:
                scores = log_payload.feedback_of(update)
                yield from self._judgments(update["event_id"], scores, tuple(node.records))
        for index, event in strays:
            yield from self._stray(index, event)

    def _completed(self, node: Node) -> Request:
        change = {**_change(node.event), "log_status": "complete"}
        for update in node.updates:
            change.update(_change(update))
        path = f"/flows/logs/{node.event['event_id']}"
        return Request("PATCH", path, orjson.dumps(change), tuple(node.records))

    def _stray(self, index: int, event: Body) -> Iterator[Request]:
        change = _change(event)
        route = self._routes.get(event["event_id"])
        scores = log_payload.feedback_of(event)
        if change and route:
            yield Request("PATCH", route, orjson.dumps(change), (index,))
        yield from self._judgments(event["event_id"], scores, (index,))
        if change and not route:
            yield responses.refused(
                "Humanloop v5 takes late outputs of logs this process sent", index
            )
        elif not change and not scores:
            yield responses.refused("Humanloop v5 changes only output and error of a log", index)

    def _judgments(
        self, log_id: str, scores: Sequence[Body], records: tuple[int, ...]
    ) -> Iterator[Request]:
        """A request for each late score; the same score has the same id."""
        for score in scores:
            name, value = score["type"], score["value"]
            if isinstance(value, list):
                value = payload.json_text(value)
            identity = orjson.dumps([log_id, name, value])
            body = {
                "path": self._path({"event_name": name}),
                "log_id": payload.stable_uuid(identity),
                "parent_id": log_id,
                "judgment": value,
                "spec": {
                    "evaluator_type": "external",
                    "arguments_type": "target_free",
                    "return_type": _return_type(value),
                },
            }
            yield Request("POST", _JUDGMENTS, orjson.dumps(body), records)

    # -- replies ----------------------------------------------------------------------------

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """By status; 404 to a change or score means that log alone. Learns new logs' routes."""
        about_one_log = request.method == "PATCH" or request.path == _JUDGMENTS
        if about_one_log and reply.status == 404:
            return Invalid("HTTP 404: no such log")
        outcome = responses.interpret(request, reply)
        if isinstance(outcome, Delivered) and request.note:
            self._learn(request, reply.body)
        return outcome

    def _learn(self, request: Request, reply_body: bytes) -> None:
        (log_id,) = request.note
        route = f"/flows/logs/{log_id}"
        kind = request.path.split("/")[1]  # flows, prompts or tools
        if kind != "flows":
            try:
                file_id = orjson.loads(reply_body).get(f"{kind[:-1]}_id")
            except (orjson.JSONDecodeError, AttributeError):
                file_id = None
            route = f"/{kind}/{file_id}/log/{log_id}" if isinstance(file_id, str) else ""
        self._routes.put(log_id, route)

    def cut(self, record: Record) -> Record | None:
        """The record within 64 KiB."""
        return truncate_record(record, _SMALL)


def _is_flow(node: Node) -> bool:
    return str(base_of(node.event)) not in _ROUTES


def _change(event: Body) -> Body:
    change = log_payload.update(event)
    change.pop("duration", None)
    return change


def _return_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else "text"
