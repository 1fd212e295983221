"""The server's defence against other machines, other web sites and hostile content.

Runs on the server's loop, before every route. Sessions are protected because only this machine
reaches the server, or else requests must show a token (``auth``); and because no web site can reach
the server through a user's browser (DNS rebinding, cross-site requests). Invariant: the guard
decides by method and headers alone, before a byte of the body is read, and every response carries
``HEADERS``. PostHog's clients show their key in the body: their routes check it.

The cross-origin check is that of Go 1.25 and datasette: recent browsers send the origin's relation
(``Sec-Fetch-Site``), older ones at least ``Origin``, programs neither.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import attrs

from sessiontrace.server.security.api_key_auth import required_permission
from sessiontrace.server.security.token_auth import TokenAuth

__all__ = ["HEADERS", "LOGIN", "Refusal", "hosts_of", "is_loopback", "refusal"]

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; media-src 'self' data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "sessiontrace",
}
"""Headers of every response. None is a CORS header, so no other site can read a response."""

_SAFE = frozenset({"GET", "HEAD"})
_OWN_SITE = frozenset({"same-origin", "none"})
_PAGE = ("/page/", "/sessions/", "/users/", "/compare/", "/dashboard")
LOGIN = "/api/login"
_KEY_IN_BODY = frozenset(
    {"/batch", "/capture", "/track", "/engage", "/e", "/i/v0/e", "/i/v0/ai/batch",
     "/i/v1/analytics/events"}
)  # fmt: skip
_HUMANLOOP = ("/v4/", "/v5/")
_BODY_TYPES = frozenset({"application/json", "application/x-protobuf"})


@attrs.frozen
class Refusal:
    """An HTTP status and the reason why a request is refused, for its sender."""

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
    auth: TokenAuth | None = None,
) -> Refusal | None:
    """Why this request is refused, or None. ``headers`` must ignore the case of names."""
    host = headers.get("Host", "").lower()
    requires_auth = auth is not None and not auth.open
    # With a token any host name is safe: a rebinding site has no cookie for its own name.
    if not host or not (requires_auth or host in hosts):
        return Refusal(403, f"this server answers to {' or '.join(sorted(hosts))} only")
    # A link on another site may open the page itself, which contains no sessions.
    opens_page = method in _SAFE and (path == "/" or path.startswith(_PAGE))
    if not opens_page and not _from_own_site(headers, host):
        return Refusal(403, "requests from other sites are refused")
    if method not in _SAFE and not _has_safe_type(path, headers):
        # No form can send these types, so a browser asks the server first (CORS preflight).
        return Refusal(415, "Content-Type must be application/json or application/x-protobuf")
    checked_later = opens_page or path == LOGIN or path.rstrip("/") in _KEY_IN_BODY
    permission = required_permission(method, path)
    if auth is not None and not checked_later and not auth.admits(headers, permission):
        return Refusal(403 if auth.recognises(headers) else 401, auth.denial(permission))
    return None


def _has_safe_type(path: str, headers: Mapping[str, str]) -> bool:
    """Whether the body has a type that no form sends, or comes from a client that sends none."""
    kind = _media_type(headers)
    if kind in _BODY_TYPES:
        return True
    if not path.startswith(_HUMANLOOP):
        return False
    # Humanloop's clients open sessions with an empty body of a form's type or of none, and send
    # spans without a type. Browsers send their Origin with all of these, and are refused above.
    return not kind or headers.get("Content-Length", "0") == "0"


def _from_own_site(headers: Mapping[str, str], host: str) -> bool:
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.lower() in _OWN_SITE
    origin = headers.get("Origin")
    return origin is None or origin.lower() == f"http://{host}"


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()
