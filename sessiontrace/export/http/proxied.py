"""What a proxy on the way adds to requests, and what its refusals mean; pure functions.

Shared by the sender's transport and the typed clients. Invariant: user and password go to the proxy
only: with https in the headers of CONNECT, else in those of the request, which it removes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import attrs

from sessiontrace.model.proxy import Proxy

__all__ = ["PROXY_LOGIN", "Through", "proxy_refusal", "through"]

PROXY_LOGIN = 407
"""The status with which a proxy refuses user and password."""


@attrs.frozen
class Through:
    """Arguments of aiohttp's requests. ``headers``: those of the request, without TLS."""

    proxy: str | None = None
    connect_headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


def through(proxy: Proxy | None, base_url: str) -> Through:
    """What requests below ``base_url`` need; nothing for a direct connection."""
    if proxy is None or proxy.login is None:
        return Through(proxy.url if proxy else None)
    login = base64.b64encode(proxy.login.reveal().encode()).decode()
    headers = {"Proxy-Authorization": f"Basic {login}"}
    if base_url.startswith("https:"):
        return Through(proxy.url, headers)
    return Through(proxy.url, None, headers)


def proxy_refusal(status: int) -> str:
    """The words for a proxy's own refusal."""
    if status == PROXY_LOGIN:
        return "the proxy refused user and password (HTTP 407); check proxy= or HTTPS_PROXY"
    return f"the proxy refused the connection (HTTP {status})"
