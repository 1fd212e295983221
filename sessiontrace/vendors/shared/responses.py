"""What a backend's reply means by its status, and requests that are never sent.

Pure functions, no thread owns them. Invariant: a web page never counts as a delivery.
"""

from __future__ import annotations

from sessiontrace.export.protocol import (
    Blocked,
    Delivered,
    Invalid,
    Outcome,
    Reply,
    Request,
    judge_http,
)

__all__ = ["NONE", "interpret", "printable", "refused"]

NONE = "NONE"
"""Method of a request about records that a backend cannot take: its path is the reason."""

_EXCERPT = 200


def refused(reason: str, index: int) -> Request:
    """A request that is never sent: the record counts as rejected, for ``reason``."""
    return Request(NONE, reason, b"", (index,))


def interpret(request: Request, reply: Reply) -> Outcome:
    """``judge_http`` with the backend's own words, and no trust in a web page with status 200.

    The records of a request that was never sent are rejected.
    """
    if request.method == NONE:
        return Delivered(dict.fromkeys(request.records, request.path))
    if 200 <= reply.status < 300 and "text/html" in reply.headers.get("content-type", ""):
        return Blocked(f"HTTP {reply.status} with a web page: this is not the API; check base_url")
    outcome = judge_http(reply)
    if isinstance(outcome, (Invalid, Blocked)) and (words := _excerpt(reply)):
        return type(outcome)(f"{outcome.reason}: {words}")
    return outcome


def _excerpt(reply: Reply) -> str:
    """The beginning of a body that is not a web page."""
    if "text/html" in reply.headers.get("content-type", ""):
        return ""
    return printable(reply.body[: 4 * _EXCERPT].decode(errors="replace"))


def printable(words: str) -> str:
    """A backend's text, cut to 200 characters on one line, fit for a terminal."""
    plain = " ".join(words[: 4 * _EXCERPT].split())
    return "".join(char if char.isprintable() else "?" for char in plain)[:_EXCERPT]
