"""What every vendor-compatible API shares: reading a body, answering in JSON, telling faults.

Runs on the server's loop. Invariant: a fault is told in the vendor's own form, with a status that
says whether to try again, and never with a traceback.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError

__all__ = [
    "BODY_MAX",
    "RequestRejected",
    "Told",
    "decode_json",
    "gunzip",
    "json_response",
    "read_body",
    "read_json",
    "with_vendor_errors",
]

BODY_MAX = 16 << 20
"""The most bytes of a request's body, unpacked."""

_BODY_S = 30.0
_PARTS_MAX = 500_000

Told = Callable[[int, str], web.Response]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestRejected(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The request cannot be served; ``status`` and ``reason`` are for whoever sent it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def json_response(value: Any, status: int = 200) -> web.Response:
    """A JSON answer that nobody caches."""
    return web.Response(
        status=status,
        body=orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def with_vendor_errors(handler: _Handler, told: Told) -> _Handler:
    """``handler`` with its faults told by ``told``."""

    async def handled(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestRejected as error:
            return told(error.status, error.reason)
        except web.HTTPRequestEntityTooLarge:
            return told(413, f"the body is larger than {BODY_MAX >> 20} MiB")
        except StoreError as error:
            response = told(503, str(error))
            if isinstance(error, (StoreBusyError, StoreTimeoutError)):
                response.headers["Retry-After"] = "1"
            return response

    return handled


async def read_body(request: web.Request) -> bytes:
    """The body; aiohttp has unpacked it, and counted what came out against the limit."""
    try:
        return await asyncio.wait_for(request.read(), _BODY_S)
    except asyncio.TimeoutError as error:
        raise RequestRejected(408, f"the body took longer than {_BODY_S:.0f} s") from error
    except web.HTTPRequestEntityTooLarge:
        raise
    except Exception as error:  # aiohttp and the unpackers have one each
        raise RequestRejected(
            400, "the body cannot be read; is it what Content-Encoding says?"
        ) from error


async def read_json(request: web.Request) -> Any:
    """The decoded JSON of a body."""
    return decode_json(await read_body(request))


def decode_json(body: bytes) -> Any:
    """The value of a JSON text that is not made of more parts than memory allows."""
    # What is shorter than so many bytes cannot hold so many.
    if len(body) > _PARTS_MAX and body.count(b"{") + body.count(b"[") > _PARTS_MAX:
        raise RequestRejected(413, f"the body holds more than {_PARTS_MAX:,} objects and lists")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRejected(400, f"the body is no JSON: {error}") from error


def gunzip(body: bytes) -> bytes:
    """A body that may be gzip without saying so; bounded like every other."""
    if body[:2] != b"\x1f\x8b":
        return body
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            found = packed.read(BODY_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestRejected(400, "the body looks like gzip and is none") from error
    if len(found) > BODY_MAX:
        raise RequestRejected(413, f"the body is larger than {BODY_MAX >> 20} MiB")
    return found
