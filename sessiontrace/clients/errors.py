"""The errors of the typed clients, drawn as a tree; no thread owns them.

    SessionTraceError
    └── ClientError               base of all errors of a call
        ├── NoAnswerError         no (whole) HTTP answer came: connection, DNS, TLS, time
        ├── UnexpectedAnswerError an answer that the API's documents do not allow
        └── ApiError              the API refused the call: status, code, message, body
            ├── RequestError         400, 409, 413, 422: the request is wrong
            │   └── ValidationError  a RequestError with its wrong fields in ``detail``
            ├── KeyRefusedError      401: no key, or an invalid one
            ├── ForbiddenError       403: a key without the permission ``scope``
            ├── NotFoundError        404
            ├── RateLimitError       429: ``retry_after`` seconds
            └── ServerError          5xx

Invariant: no message, attribute or cause of an error contains a key.
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
    """A call to a vendor's API failed; the message says why and what to do."""


class NoAnswerError(ClientError):
    """The service gave no whole answer; whether it acted on the request is unknown."""


class UnexpectedAnswerError(ClientError):
    """The answer is not what the API promises. ``missing``: the names of missing fields."""

    def __init__(self, message: str, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing: tuple[str, ...] = tuple(missing)


class ApiError(ClientError):
    """The API refused a call.

    ``status``: of HTTP. ``code``: the API's own error code, or None. ``message``: the API's text.
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
        words = f": {message}" if message else ""
        super().__init__(f"{method} {path}: HTTP {status}{words}{hint and f' ({hint})'}")
        self.status = status
        self.code = code
        self.message = message
        self.body = body
        self.method = method
        self.path = path


class RequestError(ApiError):
    """The request itself is wrong (400, 409, 413, 422)."""


@attrs.frozen
class FieldFault:
    """One wrong field: its place (``("body", 0, "duration")``), a message, the kind of fault."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class ValidationError(RequestError):
    """Fields of the request are wrong: ``detail`` has a ``FieldFault`` for each."""

    detail: tuple[FieldFault, ...] = ()


class KeyRefusedError(ApiError):
    """No key, or one that the service does not know (401)."""


class ForbiddenError(ApiError):
    """The key lacks a permission (403). ``scope``: the permission, if the API names it."""

    scope: str | None = None


class NotFoundError(ApiError):
    """No object with this id, or no such route: check the id and the base URL (404)."""


class RateLimitError(ApiError):
    """Too many calls (429). ``retry_after``: seconds the service asks to wait, or None."""

    retry_after: float | None = None


class ServerError(ApiError):
    """The service failed (5xx)."""


def of_status(status: int) -> type[ApiError]:
    """The class of error for a status."""
    classes: Mapping[int, type[ApiError]] = {
        400: RequestError,
        401: KeyRefusedError,
        403: ForbiddenError,
        404: NotFoundError,
        409: RequestError,
        413: RequestError,
        422: RequestError,
        429: RateLimitError,
    }
    return classes.get(status, ServerError if status >= 500 else ApiError)
