"""Langfuse's HTTP API over the store: scores, and the ingestion of its earlier SDKs and of REST.

Runs on the server's loop. Its current SDKs send spans over OTLP (``otlp_paths``). Invariant: an
answer counts as stored what is on the disk, and says of everything else why it is not.

POST /api/public/scores       202 {"message"}, or 207 {"accepted", "rejected", "errors"}
POST /api/public/ingestion    207 {"successes", "errors"}
GET /api/public/scores        the scores of the store; see ``score_routes``
GET /api/public/projects      the project of the credentials; Langfuse's ``auth_check``
GET /api/public/health        {"status": "OK"}
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sessiontrace.model.json_depth import TOO_DEEP, is_too_deep
from sessiontrace.server import record_builder
from sessiontrace.server.apis.langfuse import observations
from sessiontrace.server.apis.langfuse.score_routes import ScoreRoutes
from sessiontrace.server.apis.langfuse.scores import add_score
from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.server.apis.otlp.event_layout import derived_id
from sessiontrace.server.apis.otlp.intake import Intake
from sessiontrace.server.apis.otlp.mapping import convert
from sessiontrace.server.http import (
    RequestRejected,
    json_response,
    read_json_batch,
    with_vendor_errors,
)
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.store_readers import StoreReaders

__all__ = ["Ingestion", "routes"]

Body = dict[str, Any]

_BATCH_MAX = 10_000
_DEPTH = 128


def routes(readers: StoreReaders, intake: Intake, version: str) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    api, scores = _Api(intake, version), ScoreRoutes(readers)
    table = (
        ("GET", "/api/public/scores", scores.by_page),
        ("GET", "/api/public/v2/scores", scores.by_page),
        ("GET", "/api/public/v3/scores", scores.by_cursor),
        ("GET", "/api/public/scores/{id}", scores.one),
        ("GET", "/api/public/v2/scores/{id}", scores.one),
        ("POST", "/api/public/scores", api.scores),
        ("POST", "/api/public/ingestion", api.ingest),
        ("GET", "/api/public/projects", api.projects),
        ("GET", "/api/public/health", api.health),
    )
    return [
        web.route(method, path, with_vendor_errors(handler, _error_response))
        for method, path, handler in table
    ]


def _error_response(status: int, reason: str) -> web.Response:
    names = {401: "UnauthorizedError", 404: "LangfuseNotFoundError"}
    return json_response(
        {"message": reason, "error": names.get(status, "InvalidRequestError")}, status
    )


class _Api:
    def __init__(self, intake: Intake, version: str) -> None:
        self._intake = intake
        self._version = version

    async def scores(self, request: web.Request) -> web.Response:
        body = await read_json_batch(request)
        scores = body if isinstance(body, list) else [body]
        assembly = Assembly()
        added = [_add(assembly, score) for score in scores[:_BATCH_MAX]]
        problems = [problem for problem, _ in added if problem]
        problems += [f"more than {_BATCH_MAX} scores in one request"] * (len(scores) - _BATCH_MAX)
        if not isinstance(body, list) and problems:
            raise RequestRejected(400, problems[0])
        await self._intake.write(assembly, "scores", len(scores), problems)
        if not isinstance(body, list):
            return json_response({"id": added[0][1]})
        if not problems:
            return json_response({"message": "Accepted"}, 202)
        errors = [{"message": problem} for problem in problems]
        accepted = len(scores) - len(problems)
        return json_response(
            {"accepted": accepted, "rejected": len(problems), "errors": errors}, 207
        )

    async def ingest(self, request: web.Request) -> web.Response:
        body = await read_json_batch(request)
        batch = body.get("batch") if isinstance(body, dict) else None
        if not isinstance(batch, list):
            raise RequestRejected(400, "the body has no batch, a list of events")
        ingestion = Ingestion()
        for event in batch[:_BATCH_MAX]:
            ingestion.take(event)
        for event in batch[_BATCH_MAX:]:
            ingestion.refuse(event, f"more than {_BATCH_MAX} events in one request")
        assembly = ingestion.assembled()
        reasons = [error["message"] for error in ingestion.errors]
        await self._intake.write(assembly, "langfuse_events", len(batch), reasons)
        answer = {"successes": ingestion.successes, "errors": ingestion.errors}
        return json_response(answer, 207)

    async def projects(self, request: web.Request) -> web.Response:
        own = PROJECT.get()
        project = {"id": own, "name": own, "metadata": {}}
        return json_response({"data": [{**project, "organization": {"id": own, "name": own}}]})

    async def health(self, request: web.Request) -> web.Response:
        return json_response({"status": "OK", "version": self._version})


def _add(assembly: Assembly, score: Any) -> tuple[str, str]:
    """Add a score; returns why it cannot be stored, and its id where it can."""
    if is_too_deep(score, _DEPTH):
        return f"a score is {TOO_DEEP}", ""
    try:
        return "", add_score(assembly, score)
    except RequestRejected as error:
        return error.reason, ""


class Ingestion:
    """The events of one batch, those of one observation merged."""

    def __init__(self) -> None:
        self.successes: list[Body] = []
        self.errors: list[Body] = []
        self._scores: list[tuple[Any, Body]] = []
        self._bodies: dict[tuple[str, str, str], Body] = {}
        self._ids: dict[tuple[str, str, str], list[Any]] = {}
        self._new: set[tuple[str, str, str]] = set()
        self._kinds: dict[tuple[str, str, str], str] = {}

    def take(self, event: Any) -> None:
        """Take one event of the batch."""
        kind = str(event.get("type")) if isinstance(event, dict) else ""
        body = event.get("body") if isinstance(event, dict) else None
        if kind == "sdk-log":
            self._accept(event.get("id"))
        elif not isinstance(body, dict):
            self.refuse(event, "the event has no body")
        elif is_too_deep(body, _DEPTH):
            self.refuse(event, f"the event is {TOO_DEEP}")
        elif kind == "score-create":
            self._scores.append((event.get("id"), body))
        elif kind not in observations.KINDS:
            self.refuse(event, f"the type {kind[:50]!r} is not known")
        else:
            self._merge(event, kind, body)

    def refuse(self, event: Any, reason: str) -> None:
        """Answer that an event is not stored."""
        own = event.get("id") if isinstance(event, dict) else None
        self.errors.append({"id": own, "status": 400, "message": reason, "error": reason})

    def _accept(self, event_id: Any) -> None:
        self.successes.append({"id": event_id, "status": 201})

    def _merge(self, event: Body, kind: str, body: Body) -> None:
        own = observations.KINDS[kind]
        family = observations.TRACE if own == observations.TRACE else "observation"
        key = (family, str(body.get("traceId")), str(body.get("id")))
        before = self._bodies.get(key, {observations.SENT: event.get("timestamp")})
        self._bodies[key] = observations.merged(before, body)
        self._ids.setdefault(key, []).append(event.get("id"))
        self._kinds[key] = self._kinds.get(key) or own
        if kind.endswith("-create"):
            self._new.add(key)

    def assembled(self) -> Assembly:
        """All that can be stored; what cannot is among the errors then."""
        spans, changed, now = [], [], float(record_builder.now_ms())
        for key, body in self._bodies.items():
            kind = self._kinds[key]
            try:
                span = observations.span_of(kind, body, now)
                if key[0] == observations.TRACE or key not in self._new:
                    event_id = derived_id(span.trace_id, span.span_id)
                    again = observations.span_of(kind, body, now)
                    changed.append(
                        (event_id, span.trace_id, observations.changes_of(kind, body, again))
                    )
            except RequestRejected as error:
                self.errors += [
                    {"id": own, "status": 400, "message": error.reason, "error": error.reason}
                    for own in self._ids[key]
                ]
                continue
            if key in self._new:
                spans.append(span)
            for own in self._ids[key]:
                self._accept(own)
        assembly = convert(spans).assembly
        for event_id, trace_id, changes in changed:
            place = assembly.place(trace_id, None, is_root=False)
            if changes:
                assembly.add(record_builder.patch(event_id, place.session_id, changes), place)
                assembly.add_call(trace_id, event_id)
        for own, body in self._scores:
            if reason := _add(assembly, body)[0]:
                self.errors.append({"id": own, "status": 400, "message": reason, "error": reason})
            else:
                self._accept(own)
        return assembly
