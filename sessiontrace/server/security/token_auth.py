"""The token that lets other machines in: where it comes from, and who has shown it.

Values, no thread owns them. Without a token the server is open to whoever reaches it, which is
this machine alone. Invariant: tokens are compared in constant time, are in no log, no URL and no
repr, and the browser's cookie holds something made from the token, not the token itself.
"""

from __future__ import annotations

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

__all__ = ["COOKIE_S", "TOKEN_ENV", "TokenAuth", "TokenError", "token_of"]

TOKEN_ENV = "SESSIONTRACE_SERVE_TOKEN"  # noqa: S105 - the variable's name
_LEAST = 20
_MOST = 4096
_VISIBLE = re.compile(r"[!-~]+\Z")  # what fits into a header
COOKIE_S = 30 * 86_400
"""How long a browser remembers that it was let in."""


class TokenError(SessionTraceError):
    """There is no token to ask for: the message says what is wrong with the one that was named."""


class TokenAuth:
    """Who may ask. ``token`` None: everybody who reaches the server."""

    def __init__(self, token: Secret | None, port: int) -> None:
        self._token = token
        self._cookie = f"sessiontrace-{port}"  # cookies know no ports: servers share them

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return self._token is None

    def asks(self, need: str) -> str:
        """What to tell whoever is not let in."""
        return "this server asks for its token: Authorization: Bearer TOKEN"

    async def refresh(self, headers: Mapping[str, str]) -> None:
        """Make ready to judge a request with these headers."""

    def recognises(self, headers: Mapping[str, str]) -> bool:
        """Whether they show something good, though not good enough."""
        return False

    def admits(self, headers: Mapping[str, str], need: str = "") -> bool:
        """Whether the headers show the token: as a bearer's, as Humanloop's key, or as a cookie.

        ``need``: what it must allow (``store.keys``); a token allows everything.
        """
        if self._token is None:
            return True
        kind, _, shown = headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.knows(shown.strip()):
            return True
        return self.knows(headers.get("X-API-KEY", "")) or self._remembers(headers)

    def knows(self, given: object) -> bool:
        """Whether this is the token."""
        if self._token is None:
            return True
        return isinstance(given, str) and hmac.compare_digest(
            given.encode(errors="replace"), self._token.reveal().encode()
        )

    def opens(self, given: object) -> str | None:
        """The ``Set-Cookie`` for a browser that shows this, for 30 days; None if it is no token."""
        if self._token is None or not self.knows(given):
            return None
        return (
            f"{self._cookie}={self._mark()}; Path=/; Max-Age={COOKIE_S}; HttpOnly; SameSite=Strict"
        )

    def _remembers(self, headers: Mapping[str, str]) -> bool:
        for part in headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and hmac.compare_digest(
                value.encode(errors="replace"), self._mark().encode()
            ):
                return True
        return False

    def _mark(self) -> str:
        token = b"" if self._token is None else self._token.reveal().encode()
        return hmac.new(token, self._cookie.encode(), hashlib.sha256).hexdigest()


def token_of(file: Path | None, environment: Mapping[str, str] = os.environ) -> Secret | None:
    """The token of the file, made with a new one where there is none, else of the environment.

    Raises ``TokenError`` for a token too short, or a file that others can read.
    """
    given = environment.get(TOKEN_ENV, "").strip() if file is None else _kept(file)
    if file is None and not given:
        return None
    where = str(file) if file is not None else TOKEN_ENV
    if not _LEAST <= len(given) <= _MOST or not _VISIBLE.match(given):
        raise TokenError(
            f"the token in {where} must be {_LEAST} characters or more, without spaces; "
            "`openssl rand -hex 24` makes one"
        )
    return Secret(given)


def _kept(path: Path) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        made = os.open(path, flags, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise TokenError(f"{path} cannot be made: {error.strerror}") from error
    token = secrets.token_urlsafe(32)
    with os.fdopen(made, "w") as file:
        file.write(token + "\n")
    return token


def _read(path: Path) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise TokenError(f"{path} cannot be read: {error.strerror}") from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise TokenError(f"{path} is no file")
    with os.fdopen(fd, errors="replace") as file:
        if sys.platform != "win32" and found.st_mode & 0o077:
            raise TokenError(f"{path} can be read by others; chmod 600 mends it")
        return file.read(_MOST + 2).strip()
