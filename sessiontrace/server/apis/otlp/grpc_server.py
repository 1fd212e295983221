"""OTLP over gRPC: the same intake as over HTTP, where the extra ``grpc`` is installed.

Runs on the server's loop. Source: opentelemetry-proto, ``docs/specification.md``, section
OTLP/gRPC; the bodies are those of OTLP/HTTP in protobuf, so no generated classes are needed.
Invariant: a call passes the same check of its credential as a request before its message is read.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from multidict import CIMultiDict

from sessiontrace.model.errors import (
    SessionTraceError,
    StoreBusyError,
    StoreError,
    StoreTimeoutError,
)
from sessiontrace.runtime.log import logger
from sessiontrace.server.apis.otlp.grpc_status import retry_trailers
from sessiontrace.server.apis.otlp.intake import Intake, Outcome
from sessiontrace.server.http import BODY_MAX, RequestRejected
from sessiontrace.server.security.intake_budget import IntakeBudget, IntakeFullError
from sessiontrace.server.security.request_context import MAY_READ, PROJECT
from sessiontrace.server.security.token_auth import TokenAuth
from sessiontrace.store.api_keys import INGEST
from sessiontrace.store.models import DEFAULT_PROJECT
from sessiontrace.wire.otlp_partial_success import write_partial_success

__all__ = ["GrpcUnavailableError", "start"]

Export = Callable[[bytes, bool], Awaitable[Outcome]]

_SERVICE = "/opentelemetry.proto.collector.{0}.v1.{1}Service/Export"
_STOP_S = 1.0
_RETRY_S = 1.0


class GrpcUnavailableError(SessionTraceError):
    """grpcio is not installed; the message says what to do."""


async def start(
    intake: Intake, auth: TokenAuth, budget: IntakeBudget, host: str, port: int
) -> tuple[int, Callable[[], Awaitable[None]]]:
    """Listen on ``port``, or on a free one for 0; returns the port, and what stops the server.

    Raises ``GrpcUnavailableError`` without grpcio, ``OSError`` for the port.
    """
    try:
        import grpc
    except ImportError as error:
        raise GrpcUnavailableError(
            "OTLP over gRPC needs the extra grpc: pip install 'sessiontrace[grpc]'; "
            "exporters can send OTLP/HTTP without it"
        ) from error
    exports = {
        _SERVICE.format("trace", "Trace"): intake.traces,
        _SERVICE.format("logs", "Logs"): intake.logs,
        _SERVICE.format("metrics", "Metrics"): intake.metrics,
    }

    class Exports(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
        def service(self, handler_call_details: Any) -> Any:
            export = exports.get(handler_call_details.method)
            if export is None:
                return None
            return grpc.unary_unary_rpc_method_handler(_handler(grpc, export, auth, budget))

    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", BODY_MAX),
            ("grpc.so_reuseport", 0),  # else two servers share a port without an error
        ]
    )
    server.add_generic_rpc_handlers((Exports(),))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(errno.EADDRINUSE, f"cannot listen on {address}") from error
    await server.start()

    async def stop() -> None:
        await server.stop(_STOP_S)

    return bound, stop


def _handler(
    grpc: Any, export: Export, auth: TokenAuth, budget: IntakeBudget
) -> Callable[[bytes, Any], Awaitable[bytes]]:
    codes = grpc.StatusCode
    by_status = {
        400: codes.INVALID_ARGUMENT,
        413: codes.INVALID_ARGUMENT,
        429: codes.RESOURCE_EXHAUSTED,
        503: codes.UNAVAILABLE,
    }

    async def refuse(context: Any, status: int, reason: str, *, again: bool) -> None:
        code = by_status.get(status, codes.INTERNAL)
        trailers = retry_trailers(code.value[0], reason, _RETRY_S) if again else ()
        await context.abort(code, reason, trailers)

    async def handle(body: bytes, context: Any) -> bytes:
        PROJECT.set(DEFAULT_PROJECT)
        MAY_READ.set(True)
        headers = CIMultiDict(
            (key, value) for key, value in context.invocation_metadata() if isinstance(value, str)
        )
        await auth.refresh(headers)
        if not auth.admits(headers, INGEST):
            recognised = auth.recognises(headers)
            code = codes.PERMISSION_DENIED if recognised else codes.UNAUTHENTICATED
            await context.abort(code, auth.denial(INGEST))
        try:
            with budget.lease(auth.caller(headers)) as lease:
                lease.add(len(body))
                outcome = await export(body, True)
        except IntakeFullError as error:
            await refuse(context, error.status, str(error), again=True)
        except RequestRejected as error:
            await refuse(context, error.status, error.reason, again=error.status in (429, 503))
        except StoreError as error:
            is_brief = isinstance(error, (StoreBusyError, StoreTimeoutError))
            await refuse(context, 503, str(error), again=is_brief)
        except Exception:
            number = secrets.token_hex(4)
            logger().exception("call %s over gRPC failed", number)
            reason = f"internal error; see call {number} in the server's log"
            await refuse(context, 500, reason, again=False)
        return write_partial_success(outcome.count, outcome.reason) if outcome.count else b""

    return handle
