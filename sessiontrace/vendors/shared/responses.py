"""What a backend's reply means by its status, and requests that are never sent.

Pure functions, no thread owns them. Invariant: neither a web page nor a JSON answer that breaks off
counts as a delivery.
"""

from __future__ import annotations

import orjson

from sessiontrace.export.protocol import (
    Blocked,
    Invalid,
    Outcome,
    Rejected,
    Reply,
    Request,
    Retry,
    judge_http,
)

__all__ = ["NONE", "broken_answer", "interpret", "printable", "refused"]

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
        return Rejected(dict.fromkeys(request.records, request.path))
    if 200 <= reply.status < 300 and "text/html" in reply.headers.get("content-type", ""):
        return Blocked(f"HTTP {reply.status} with a web page: this is not the API; check base_url")
    if broken := broken_answer(reply):
        return broken
    outcome = judge_http(reply)
    if isinstance(outcome, (Invalid, Blocked)) and (words := _excerpt(reply)):
        return type(outcome)(f"{outcome.reason}: {words}")
    return outcome


def broken_answer(reply: Reply) -> Retry | None:
    """A 2xx whose JSON breaks off or does not end, so what the backend took is unknown.

    Such an answer was cut on its way. The records keep their ids when they are sent again. A plain
    text such as "ok" is not JSON, and a reply is not broken for it.
    """
    if not 200 <= reply.status < 300 or reply.body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return Retry(f"HTTP {reply.status} with an answer that breaks off")
    return None


def _excerpt(reply: Reply) -> str:
    """The beginning of a body that is not a web page."""
    if "text/html" in reply.headers.get("content-type", ""):
        return ""
    return printable(reply.body[: 4 * _EXCERPT].decode(errors="replace"))


def printable(words: str) -> str:
    """A backend's text, cut to 200 characters on one line, fit for a terminal."""
    plain = " ".join(words[: 4 * _EXCERPT].split())
    return "".join(char if char.isprintable() else "?" for char in plain)[:_EXCERPT]
