"""What can go wrong when a vendor's API is called, drawn as a tree; no thread owns them.

    SessionTraceError
    └── ClientError               anything a typed client raises about a call
        ├── NoAnswerError         no (whole) HTTP answer came: connection, DNS, TLS, time
        ├── UnexpectedAnswerError an answer that is not what the API's documents promise
        └── ApiError              the API said no: status, code, message, body
            ├── RequestError         400, 409, 413, 422: the request is at fault
            │   └── ValidationError  the same, with the faulty fields in ``detail``
            ├── KeyRefusedError      401: no key, or one that is not valid
            ├── ForbiddenError       403: a key without the right; ``scope`` where it is named
            ├── NotFoundError        404
            ├── RateLimitError       429: ``retry_after`` seconds
            └── ServerError          5xx

Invariant: no message, attribute or cause of these holds a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.model.errors import SessionTraceError

__all__ = [
    "ApiError",
    "ClientError",
    "FieldFault",
    "ForbiddenError",
    "KeyRefusedError",
    "NoAnswerError",
    "NotFoundError",
    "RateLimitError",
    "RequestError",
    "ServerError",
    "UnexpectedAnswerError",
    "ValidationError",
]


class ClientError(SessionTraceError):
    """A call to a vendor's API came to nothing; the message says why and what to do."""


class NoAnswerError(ClientError):
    """The service gave no whole answer; whether it acted on the request is unknown."""


class UnexpectedAnswerError(ClientError):
    """The answer is not what the API promises. ``missing`` names the fields that are not there."""

    def __init__(self, message: str, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


class ApiError(ClientError):
    """The API refused a call.

    ``status``: of HTTP. ``code``: the API's own word for it, or None. ``message``: what it said.
    ``body``: the decoded JSON answer, or its text. ``method`` and ``path``: of the call.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        body: Any = None,
        method: str = "",
        path: str = "",
        hint: str = "",
    ) -> None:
        said = f": {message}" if message else ""
        super().__init__(f"{method} {path}: HTTP {status}{said}{hint and f' ({hint})'}")
        self.status = status
        self.code = code
        self.message = message
        self.body = body
        self.method = method
        self.path = path


class RequestError(ApiError):
    """The request itself is at fault (400, 409, 413, 422)."""


@attrs.frozen
class FieldFault:
    """One faulty field: where (``("body", 0, "duration")``), what, and the kind of fault."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class ValidationError(RequestError):
    """The request's fields are at fault: ``detail`` has one ``FieldFault`` for each."""

    detail: tuple[FieldFault, ...] = ()


class KeyRefusedError(ApiError):
    """No key, or one that the service does not know (401)."""


class ForbiddenError(ApiError):
    """The key is known and may not do this (403). ``scope``: what it lacks, where told."""

    scope: str | None = None


class NotFoundError(ApiError):
    """There is no such thing, or no such route: check the id and the base URL (404)."""


class RateLimitError(ApiError):
    """Too many calls (429). ``retry_after``: seconds the service asks to wait, or None."""

    retry_after: float | None = None


class ServerError(ApiError):
    """The service failed (5xx)."""


def of_status(status: int) -> type[ApiError]:
    """The class for a status."""
    found: Mapping[int, type[ApiError]] = {
        400: RequestError,
        401: KeyRefusedError,
        403: ForbiddenError,
        404: NotFoundError,
        409: RequestError,
        413: RequestError,
        422: RequestError,
        429: RateLimitError,
    }
    return found.get(status, ServerError if status >= 500 else ApiError)
