"""HTTP as every route of the server needs it: reading a body, answering in JSON, turning errors
into responses.

Runs on the server's loop. Invariant: an error response has the form of the vendor whose route it
is, a status that says whether to try again, and never a traceback.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import anyio
import orjson
from aiohttp import web

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError
from sessiontrace.model.json_depth import DEPTH_MAX, TOO_DEEP, encode, is_too_deep
from sessiontrace.server.security.body_budget import BodyBudget, BudgetExceededError, unpacked
from sessiontrace.server.security.body_decoder import EncodingNotSupportedError
from sessiontrace.server.security.intake_budget import IntakeFullError, Lease

__all__ = [
    "BODY_MAX",
    "LEASE",
    "ErrorResponse",
    "Handler",
    "RequestRejected",
    "decode_json",
    "encoded_response",
    "error_response",
    "gunzip",
    "json_response",
    "read_body",
    "read_json",
    "read_json_batch",
    "read_unchecked_body",
    "store_error_response",
    "with_vendor_errors",
]

BODY_MAX = 16 << 20
"""The most bytes of a request's body, unpacked."""

LEASE: web.RequestKey[Lease] = web.RequestKey("lease", Lease)
"""A request's share of the memory for bodies."""

_BODY_S = 30.0
_PARTS_MAX = 500_000
_BODY_DEPTH = DEPTH_MAX + 4  # an event, in what a request puts around it

ErrorResponse = Callable[[int, str], web.Response]
"""Builds the response for a status and a reason, in the form of one API."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestRejected(Exception):  # noqa: N818 - a response, not a fault of the server
    """The server cannot serve the request; ``status`` and ``reason`` are for its sender."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


# -- responses ------------------------------------------------------------------------------


def json_response(value: Any, status: int = 200) -> web.Response:
    """A JSON response that no cache stores."""
    return encoded_response(encode(value, orjson.OPT_NON_STR_KEYS), status)


def encoded_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """As ``json_response``, for a value that is encoded already."""
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def error_response(status: int, reason: str) -> web.Response:
    """An error in the form of the page's own API: ``{"error": reason}``."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return encoded_response(orjson.dumps({"error": reason}), status, headers)


def store_error_response(error: StoreError, error_response: ErrorResponse) -> web.Response:
    """The response for a store that cannot be used; a busy store says when to try again."""
    response = error_response(503, str(error))
    if isinstance(error, (StoreBusyError, StoreTimeoutError)):
        response.headers["Retry-After"] = "1"
    return response


def with_vendor_errors(handler: Handler, error_response: ErrorResponse) -> Handler:
    """``handler``, with its errors as ``error_response`` builds them."""

    async def handled(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestRejected as error:
            response = error_response(error.status, error.reason)
            if error.status in (429, 503):
                response.headers["Retry-After"] = "1"
            return response
        except web.HTTPRequestEntityTooLarge:
            return error_response(413, f"the body is larger than {BODY_MAX >> 20} MiB")
        except StoreError as error:
            return store_error_response(error, error_response)

    return handled


# -- bodies ---------------------------------------------------------------------------------


async def read_body(request: web.Request) -> bytes:
    """The body, unpacked, of at most ``BODY_MAX`` bytes."""
    return await _read_in_time(_joined(request))


async def _joined(request: web.Request) -> bytes:
    body = bytearray()
    lease = request.get(LEASE)
    async for part in unpacked(request, BODY_MAX):
        if lease is not None:
            lease.add(len(part))
        body += part
    return bytes(body)


async def read_unchecked_body(request: web.Request, budget: BodyBudget, most: int) -> bytes:
    """The body, of at most ``most`` bytes, of a request whose sender is not known yet."""
    return await _read_in_time(budget.read(request, most))


async def _read_in_time(reading: Coroutine[Any, Any, bytes]) -> bytes:
    """What ``reading`` returns, or the rejection that its error means.

    ``asyncio.wait_for`` would keep the error, and with its traceback the bytes that were read, in a
    cycle until the next full garbage collection.
    """
    try:
        with anyio.fail_after(_BODY_S):
            return await reading
    except BudgetExceededError as error:
        raise RequestRejected(503, "the server reads too many bodies at once; try again") from error
    except IntakeFullError as error:
        raise RequestRejected(error.status, str(error)) from error
    except TimeoutError as error:
        raise RequestRejected(408, f"the body took longer than {_BODY_S:.0f} s") from error
    except web.HTTPRequestEntityTooLarge:
        raise
    except EncodingNotSupportedError as error:
        raise RequestRejected(
            415, f"Content-Encoding {str(error)[:40]!r} is not supported; send gzip"
        ) from error
    except Exception as error:  # aiohttp and each decompressor raise errors of their own
        raise RequestRejected(
            400, "the body cannot be read; check that it matches its Content-Encoding"
        ) from error


async def read_json(request: web.Request) -> Any:
    """The decoded JSON of a body that is one thing; ``RequestRejected`` where it is too deep."""
    value = await read_json_batch(request)
    if is_too_deep(value, _BODY_DEPTH):
        raise RequestRejected(400, f"the body is {TOO_DEEP}")
    return value


async def read_json_batch(request: web.Request) -> Any:
    """The decoded JSON of a body whose events ``record_builder`` checks one by one."""
    return decode_json(await read_body(request))


def decode_json(body: bytes) -> Any:
    """The value of a JSON text, which may not have more parts than memory allows."""
    # A text of fewer bytes cannot have that many parts.
    if len(body) > _PARTS_MAX and body.count(b"{") + body.count(b"[") > _PARTS_MAX:
        raise RequestRejected(413, f"the body has more than {_PARTS_MAX:,} objects and lists")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRejected(400, f"the body is not JSON: {error}") from error


def gunzip(body: bytes) -> bytes:
    """A body that may be gzip without a header that says so; bounded like every other."""
    if body[:2] != b"\x1f\x8b":
        return body
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            unpacked = file.read(BODY_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestRejected(400, "the body begins like gzip but is not gzip") from error
    if len(unpacked) > BODY_MAX:
        raise RequestRejected(413, f"the body is larger than {BODY_MAX >> 20} MiB")
    return unpacked
