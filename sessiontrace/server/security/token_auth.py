"""The token that lets other machines in: its source, and the check of a request for it.

Values, no thread owns them. Without a token the server is open to every client that reaches it,
which are those of this machine. Invariant: tokens are compared in constant time and appear in no
log, URL or repr; a browser's cookie holds a hash made with the token, not the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from sessiontrace.model.errors import SessionTraceError
from sessiontrace.model.secret import Secret

__all__ = ["COOKIE_S", "TOKEN_ENV", "TokenAuth", "TokenError", "credentials_of", "load_token"]

TOKEN_ENV = "SESSIONTRACE_SERVE_TOKEN"  # noqa: S105 - the variable's name
_MIN_CHARS = 20
_MAX_CHARS = 4096
_VISIBLE = re.compile(r"[!-~]+\Z")  # what fits into a header
COOKIE_S = 30 * 86_400
"""How long a browser stays logged in."""


class TokenError(SessionTraceError):
    """The server's token cannot be used; the message says why and what to do."""


class TokenAuth:
    """Admits requests that show the token; with ``token`` None, every request."""

    def __init__(self, token: Secret | None, port: int) -> None:
        self._token = token
        self._cookie = f"sessiontrace-{port}"  # browsers send cookies to every port

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return self._token is None

    def denial(self, permission: str) -> str:
        """The reason for a request that is not admitted."""
        return "this server requires a token: Authorization: Bearer TOKEN"

    async def refresh(self, headers: Mapping[str, str]) -> None:
        """Prepare to check a request with these headers."""

    def caller(self, headers: Mapping[str, str]) -> str:
        """A name for the credential that the headers show, for shares between callers."""
        return ""

    def recognises(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers show a valid credential that lacks the permission."""
        return False

    def admits(self, headers: Mapping[str, str], permission: str = "") -> bool:
        """Whether the headers show the token: as bearer, in Basic, as Humanloop's key or as cookie.

        ``permission``: what a key must allow (``store.api_keys``); a token allows everything.
        """
        if self._token is None:
            return True
        if any(map(self.is_valid, credentials_of(headers))):
            return True
        return self.is_valid(headers.get("X-API-KEY", "")) or self._has_cookie(headers)

    def is_valid(self, credential: object) -> bool:
        """Whether a credential is the token."""
        if self._token is None:
            return True
        return isinstance(credential, str) and hmac.compare_digest(
            credential.encode(errors="replace"), self._token.reveal().encode()
        )

    def login_cookie(self, credential: object) -> str | None:
        """The ``Set-Cookie`` for a browser that shows the token, for 30 days; else None."""
        if self._token is None or not self.is_valid(credential):
            return None
        return self._set_cookie(self._cookie_value())

    def _set_cookie(self, value: str) -> str:
        return f"{self._cookie}={value}; Path=/; Max-Age={COOKIE_S}; HttpOnly; SameSite=Strict"

    def _has_cookie(self, headers: Mapping[str, str]) -> bool:
        for part in headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and hmac.compare_digest(
                value.encode(errors="replace"), self._cookie_value().encode()
            ):
                return True
        return False

    def _cookie_value(self) -> str:
        token = b"" if self._token is None else self._token.reveal().encode()
        return hmac.new(token, self._cookie.encode(), hashlib.sha256).hexdigest()


def credentials_of(headers: Mapping[str, str]) -> list[str]:
    """The credentials in ``Authorization``: a bearer token, or password and user of Basic.

    Langfuse's clients send their secret key as password and their public key as user.
    """
    kind, _, credential = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return [credential.strip()]
    if kind.lower() != "basic":
        return []
    try:
        decoded = base64.b64decode(credential.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return []
    user, _, password = decoded.partition(":")
    return [part for part in (password, user) if part]


def load_token(path: Path | None, environment: Mapping[str, str] = os.environ) -> Secret | None:
    """The token in the file, created where it is missing, else the one in the environment.

    Raises ``TokenError`` for a token that is too short or a file that other users can read.
    """
    token = environment.get(TOKEN_ENV, "").strip() if path is None else _read_or_create(path)
    if path is None and not token:
        return None
    where = str(path) if path is not None else TOKEN_ENV
    if not _MIN_CHARS <= len(token) <= _MAX_CHARS or not _VISIBLE.match(token):
        raise TokenError(
            f"the token in {where} must have at least {_MIN_CHARS} characters and no spaces; "
            "generate one with `openssl rand -hex 24`"
        )
    return Secret(token)


def _read_or_create(path: Path) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise TokenError(f"{path} cannot be created: {error.strerror}") from error
    token = secrets.token_urlsafe(32)
    with os.fdopen(fd, "w") as file:
        file.write(token + "\n")
    return token


def _read(path: Path) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise TokenError(f"{path} cannot be read: {error.strerror}") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise TokenError(f"{path} is not a regular file")
    with os.fdopen(fd, errors="replace") as file:
        if sys.platform != "win32" and status.st_mode & 0o077:
            raise TokenError(f"{path} is readable by other users; run `chmod 600 {path}`")
        return file.read(_MAX_CHARS + 2).strip()
