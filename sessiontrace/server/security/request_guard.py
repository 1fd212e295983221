"""Who may ask: the local server's defence against other machines, other sites and hostile content.

Runs on the server's loop, before every route. What protects the sessions is that only this machine
reaches the server, or else that who asks has a token (``access``); and that no web site can use
somebody's browser to reach it (DNS rebinding, cross-site requests). Invariant: a request is judged
by its method and headers alone, before a byte of its body is read, and every answer carries
``HEADERS``. PostHog's clients show their key in the body: there the route asks for the token.

The cross-origin check is Go 1.25's and datasette's: browsers of the last years say where a request
comes from (``Sec-Fetch-Site``), older ones at least their ``Origin``, programs neither.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import attrs

from sessiontrace.server.security.api_key_auth import need_of
from sessiontrace.server.security.token_auth import TokenAuth

__all__ = ["HEADERS", "LOGIN", "Refusal", "hosts_of", "is_loopback", "refusal"]

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "sessiontrace",
}
"""What every answer carries. No CORS header is among them, so no other site reads an answer."""

_SAFE = frozenset({"GET", "HEAD"})
_OWN_SITE = frozenset({"same-origin", "none"})
_PAGE = ("/page/", "/sessions/", "/compare/")
LOGIN = "/api/login"
_KEY_IN_BODY = frozenset(
    {"/batch", "/capture", "/track", "/engage", "/e", "/i/v0/e", "/i/v0/ai/batch",
     "/i/v1/analytics/events"}
)  # fmt: skip
_HUMANLOOP = ("/v4/", "/v5/")
_BODY_TYPES = frozenset({"application/json", "application/x-protobuf"})


@attrs.frozen
class Refusal:
    """Why a request is not answered, as an HTTP status and a sentence for whoever sent it."""

    status: int
    reason: str


def is_loopback(host: str) -> bool:
    """Whether ``host`` is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def hosts_of(port: int) -> frozenset[str]:
    """The values of ``Host`` that name this server."""
    names = ("localhost", "127.0.0.1", "[::1]")
    hosts = {f"{name}:{port}" for name in names}
    return frozenset(hosts | set(names) if port == 80 else hosts)


def refusal(
    method: str,
    path: str,
    headers: Mapping[str, str],
    hosts: frozenset[str],
    access: TokenAuth | None = None,
) -> Refusal | None:
    """Why this request is refused, or None. ``headers`` must look names up whatever their case."""
    host = headers.get("Host", "").lower()
    guarded = access is not None and not access.open
    # With a token any name will do: a site that takes a name of its own here has no cookie.
    if not host or not (guarded or host in hosts):
        return Refusal(403, f"this server answers to {' or '.join(sorted(hosts))} only")
    # A link from elsewhere may open the page itself, which holds no sessions: it asks for them.
    opens_page = method in _SAFE and (path == "/" or path.startswith(_PAGE))
    if not opens_page and not _from_own_site(headers, host):
        return Refusal(403, "requests from other sites are refused")
    if method not in _SAFE and not _is_plain_request(path, headers):
        # Neither type can be sent by a form, so that a browser has to ask for leave first.
        return Refusal(415, "Content-Type must be application/json or application/x-protobuf")
    shown_later = opens_page or path == LOGIN or path.rstrip("/") in _KEY_IN_BODY
    need = need_of(method, path)
    if access is not None and not shown_later and not access.admits(headers, need):
        return Refusal(403 if access.recognises(headers) else 401, access.asks(need))
    return None


def _is_plain_request(path: str, headers: Mapping[str, str]) -> bool:
    """Whether the body is of a type that no form sends, or the client is one that names none."""
    kind = _media_type(headers)
    if kind in _BODY_TYPES:
        return True
    if not path.startswith(_HUMANLOOP):
        return False
    # Humanloop's clients open sessions with an empty body, of a form's type or of none, and send
    # spans without a type. Browsers name their Origin with all of these, and are refused above.
    return not kind or headers.get("Content-Length", "0") == "0"


def _from_own_site(headers: Mapping[str, str], host: str) -> bool:
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.lower() in _OWN_SITE
    origin = headers.get("Origin")
    return origin is None or origin.lower() == f"http://{host}"


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()
