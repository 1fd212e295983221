"""OTLP/HTTP over the local store, under the paths of ``otlp_paths``.

Runs on the server's loop. Invariant: a response has the encoding of its request, and a method that
no exporter uses is answered with what to send instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from sessiontrace.server.apis.otlp.intake import Intake, Outcome
from sessiontrace.server.apis.otlp.responses import PROTOBUF, accepted, errors_as
from sessiontrace.server.http import (
    Handler,
    error_response,
    gunzip,
    read_body,
    with_vendor_errors,
)
from sessiontrace.server.otlp_paths import LOGS, METRICS, TRACES

__all__ = ["routes"]

Export = Callable[[bytes, bool], Awaitable[Outcome]]


def routes(intake: Intake) -> list[web.RouteDef]:
    """The routes of the API over one store."""
    signals: tuple[tuple[tuple[str, ...], Export], ...] = (
        (TRACES, intake.traces), (LOGS, intake.logs), (METRICS, intake.metrics),
    )  # fmt: skip
    return [
        route
        for paths, export in signals
        for path in paths
        for route in (web.post(path, _post(export)), web.route("*", path, _wrong_method))
    ]


def _post(export: Export) -> Handler:
    async def post(request: web.Request) -> web.StreamResponse:
        binary = request.content_type == PROTOBUF

        async def answer(request: web.Request) -> web.Response:
            outcome = await export(gunzip(await read_body(request)), binary)
            return accepted(binary, outcome.field, outcome.count, outcome.reason)

        return await with_vendor_errors(answer, errors_as(binary))(request)

    return post


async def _wrong_method(request: web.Request) -> web.Response:
    response = error_response(
        405, f"{request.path} takes POST with an OTLP request, not {request.method}"
    )
    response.headers["Allow"] = "POST"
    return response
