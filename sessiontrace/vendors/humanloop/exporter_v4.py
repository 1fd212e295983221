"""Humanloop v4's exporter: records to logs, level by level, and what the replies mean.

No I/O, no clock. The hosted service closed in September 2025; the local server and rebuilt services
speak this API today. How each record is sent:

==========================  =======================================================================
record                      Humanloop v4
==========================  =======================================================================
start, open                 nothing when its end is in the same batch; else a log without output
end of a session or turn    the whole log; ``PATCH /logs?reference_id=`` where its start was
                            posted before, which takes output, error and duration only
event                       a log: ``POST /logs`` with an array
update of a known log       ``POST /feedback`` by the ``data_id`` of the reply; outputs and error
                            by ``PATCH``; in the same batch as its event: within the log
update of another log       feedback and metrics are refused: they need a ``data_id``
session_id                  ``session_reference_id``; a session's own log has it as its reference
event_id                    ``reference_id``
parent_id                   ``parent_reference_id`` when the parent went in an earlier request, else
                            ``metadata.parent_reference_id``
start_time, duration        ``created_at``, ``duration`` in seconds
inputs                      ``inputs``; a model's chat also ``messages``
outputs                     ``output``, a text; a model's also ``output_message``
config                      of a model ``{"type": "model", model, provider, temperature, ...}``,
                            else ``{"type": "tool", name}``; whole in ``metadata.config``
metadata                    ``metadata``, ``prompt_tokens``, ``output_tokens``, ``*_cost``
metrics, feedback           ``feedback: [{type, value}]``
error, source               ``error``, ``source``
user_properties             ``metadata.user_properties``
event_type, event_name      ``metadata.event_type``, ``metadata.event_name``
children_ids                nothing: children name their parents
==========================  =======================================================================

Invariant: no log names a parent that goes in the same request or in a later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from sessiontrace.export.protocol import Batch, Delivered, Invalid, Limits, Outcome, Reply, Request
from sessiontrace.model import payload
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.record import OPEN, START, Record
from sessiontrace.runtime.throttle import throttled
from sessiontrace.vendors.humanloop import log_payload
from sessiontrace.vendors.humanloop.parent_order import Forest, Node
from sessiontrace.vendors.shared import responses
from sessiontrace.vendors.shared.request_groups import chunks, join_body
from sessiontrace.vendors.shared.truncate import truncate_record

__all__ = ["HumanloopExporter"]

_REQUEST_LOGS = 100  # two milliseconds of work, and a reply far below the 64 KiB that are read
_REQUEST_MAX = 1_000_000
_REMEMBERED = 20_000
_SMALL = 64 << 10


class HumanloopExporter:
    """Exporter for one project of a Humanloop v4 API.

    It remembers the ids of the last 20 000 logs, for their children and for late scores.
    """

    limits: Limits = Limits(max_records=10_000, max_bytes=16 << 20, max_age_s=1.0, concurrency=8)

    def __init__(self, project: str = "sessiontrace") -> None:
        self._project = project
        self._data_ids: LruCache[str, str] = LruCache(_REMEMBERED)

    def encode(self, batch: Batch) -> Iterator[Iterator[Request]]:
        """A stage for each level of logs, then one for updates of logs posted before."""
        forest = Forest(batch.records)
        later: list[Node] = []
        for level in forest.levels():
            yield self._posts(forest, level, later)
        yield self._updates(later, forest.strays)
        level = later = []
        forest.dissolve()

    # -- encoding ---------------------------------------------------------------------------

    def _posts(self, forest: Forest, level: Sequence[Node], later: list[Node]) -> Iterator[Request]:
        whole: list[Node] = []
        for node in throttled(level):
            is_posted = node.event["event_id"] in self._data_ids
            if not node.parent_id and is_posted:
                if node.kind not in (START, OPEN):
                    later.append(node)
            else:
                whole.append(node)
        encoded = (
            (at, payload.compact_json(self._log(forest, node)))
            for at, node in enumerate(throttled(whole))
        )
        for group in chunks(encoded, _REQUEST_LOGS, _REQUEST_MAX):
            body = join_body(b"[", [log for _, log in group], b"]")
            nodes = [whole[at] for at, _ in group]
            carried = tuple(sorted([index for node in nodes for index in node.records]))
            event_ids = tuple([node.event["event_id"] for node in nodes])
            yield Request("POST", "/logs", body, carried, event_ids)

    def _log(self, forest: Forest, node: Node) -> dict[str, Any]:
        body = log_payload.log(_amended(node), self._project)
        parent = node.parent_id
        if parent is not None:
            if forest.above(node) is not None or parent in self._data_ids:
                body["parent_reference_id"] = parent
            else:
                body["metadata"]["parent_reference_id"] = parent
        return body

    def _updates(
        self, later: Iterable[Node], strays: Iterable[tuple[int, dict[str, Any]]]
    ) -> Iterator[Request]:
        for node in later:
            event = _amended(node)
            yield _patch(event, node.records)
            scores = log_payload.feedback_of(event)
            if scores:
                yield from self._feedback(event["event_id"], scores, node.records)
        for index, event in strays:
            yield from self._stray(index, event)

    def _stray(self, index: int, event: dict[str, Any]) -> Iterator[Request]:
        scores = log_payload.feedback_of(event)
        change = log_payload.update(event)
        if change:
            yield _patch(event, [index])
        if scores:
            yield from self._feedback(event["event_id"], scores, [index])
        if not change and not scores:
            yield responses.refused(
                "Humanloop changes only output, error and duration of a log", index
            )

    def _feedback(
        self, reference: str, scores: list[dict[str, Any]], records: Sequence[int]
    ) -> Iterator[Request]:
        data_id = self._data_ids.get(reference)
        if data_id:
            body = orjson.dumps([{**score, "data_id": data_id} for score in scores])
            yield Request("POST", "/feedback", body, tuple(records))
            return
        for index in records:
            yield responses.refused(
                "Humanloop takes scores only of logs whose id this process saw", index
            )

    # -- replies ----------------------------------------------------------------------------

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """By status; 404 to a ``PATCH`` means that log alone. Learns the ids of new logs."""
        if request.method == "PATCH" and reply.status == 404:
            return Invalid("HTTP 404: no log has this reference")
        outcome = responses.interpret(request, reply)
        if isinstance(outcome, Delivered) and request.path == "/logs":
            self._learn(request.note, reply.body)
        return outcome

    def _learn(self, references: Sequence[str], reply_body: bytes) -> None:
        try:
            answers = orjson.loads(reply_body)
        except orjson.JSONDecodeError:
            answers = []
        if isinstance(answers, dict):
            answers = [answers]
        if not isinstance(answers, list) or len(answers) != len(references):
            answers = [None] * len(references)
        for reference, answer in zip(references, answers, strict=True):
            log_id = answer.get("id") if isinstance(answer, dict) else None
            self._data_ids.put(reference, log_id if isinstance(log_id, str) else "")

    def cut(self, record: Record) -> Record | None:
        """The record within 64 KiB."""
        return truncate_record(record, _SMALL)


def _amended(node: Node) -> dict[str, Any]:
    """A node's event, changed by the updates in the same batch."""
    event = node.event
    for update in node.updates:
        event = dict(event)
        for name, value in update.items():
            below = event.get(name)
            if name in ("event_id", "session_id", "start_time"):
                continue
            if name == "inputs":
                value = payload.merged(below, value)
            elif isinstance(below, dict) and isinstance(value, dict):
                value = {**below, **value}
            event[name] = value
    return event


def _patch(event: dict[str, Any], records: Sequence[int]) -> Request:
    path = f"/logs?reference_id={event['event_id']}"
    return Request("PATCH", path, orjson.dumps(log_payload.update(event)), tuple(records))
