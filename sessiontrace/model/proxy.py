"""The proxy on the way to a URL: an argument, or the environment's variables; values.

No thread owns them. Invariants: no repr and no fault shows the user or password of a proxy, and no
variable sends a request for this machine through a proxy.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import sys
import urllib.parse
from collections.abc import Mapping

import attrs

from sessiontrace.model.lazy_pattern import lazy_pattern
from sessiontrace.model.secret import Secret

__all__ = ["Proxy", "is_this_machine", "proxy_of"]

_ARGUMENT = "proxy="
_TLS_IN_TLS = (3, 11)
_URL = lazy_pattern(r"https?://([^/]*).*|([^/]+)/\Z")
"""In place of a host: users write its URL, too."""


@attrs.frozen
class Proxy:
    """``url`` is without user and password. ``source``: the argument or variable that names it.

    ``login``: "user:password". ``fault``: why this proxy cannot be used, empty when it can.
    """

    url: str
    source: str
    login: Secret | None = None
    fault: str = ""


def is_this_machine(host: str) -> bool:
    """Whether a URL's host is localhost, in 127.0.0.0/8, ::1, or 0.0.0.0 or ::, which reach it."""
    if host.lower().rstrip(".") == "localhost":
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def proxy_of(url: str, argument: Secret | None, env: Mapping[str, str]) -> Proxy | None:
    """The proxy for requests to ``url``, None for a direct connection.

    An argument wins over the environment; an empty one means a direct connection. The variables
    are those of urllib: ``https_proxy`` or ``http_proxy`` by the scheme of ``url``, then
    ``all_proxy``; the lower-case form wins. ``no_proxy`` excludes hosts.
    """
    if argument is not None:
        return _proxy(argument.reveal(), _ARGUMENT, url) if argument else None
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None  # the URL has a fault of its own
    if not host or is_this_machine(host) or _is_excluded(host, port, _variable(env, "no")[1]):
        return None
    for kind in (parts.scheme, "all"):
        name, text = _variable(env, kind)
        if text:
            return _proxy(text, name, url)
    return None


def _variable(env: Mapping[str, str], kind: str) -> tuple[str, str]:
    """The name and value of ``kind_proxy``, in lower case where that is set."""
    name = f"{kind}_proxy"
    if name in env:
        return name, env[name].strip()
    name = name.upper()
    if name == "HTTP_PROXY" and "REQUEST_METHOD" in env:
        return name, ""  # in a CGI program, a request's header "Proxy:" sets this variable
    return name, env.get(name, "").strip()


def _proxy(text: str, source: str, target: str) -> Proxy:
    text = text.strip()
    try:
        # Variables may leave out the scheme, as curl and urllib permit.
        whole = "://" in text or source == _ARGUMENT
        parts = urllib.parse.urlsplit(text if whole else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        return Proxy("", source, fault=_form(source))
    if parts.scheme.startswith("socks"):
        fault = f"{source} names a SOCKS proxy, which sessiontrace cannot use; name an HTTP proxy"
        return Proxy("", source, fault=fault)
    if parts.scheme not in {"http", "https"} or parts.path.strip("/") or parts.query:
        return Proxy("", source, fault=_form(source))
    fault = ""
    if parts.scheme == "https" and target.startswith("https") and sys.version_info < _TLS_IN_TLS:
        fault = f"{source} is https://, which needs Python 3.11; use the proxy's http:// port"
    address = f"[{host}]" if ":" in host else host
    login = None
    if parts.username is not None:
        user = urllib.parse.unquote(parts.username)
        login = Secret(f"{user}:{urllib.parse.unquote(parts.password or '')}")
    port = port or (443 if parts.scheme == "https" else 80)
    return Proxy(f"{parts.scheme}://{address}:{port}", source, login, fault)


def _form(source: str) -> str:
    return (
        f"{source} is not the URL of a proxy; write http://proxy.example:3128, with "
        "percent-escapes in its user and password"
    )


def _is_excluded(host: str, port: int, no_proxy: str) -> bool:
    """Whether an entry of ``no_proxy`` fits: a host, suffix, wildcard, address or network."""
    host, address = _ascii(host), _address(host)
    for entry in re.split(r"[,;|\s]+", no_proxy.lower()):
        name, entry_port = _split_port(_URL.sub(r"\1\2", entry))
        if not name or entry_port not in (None, port):
            continue
        suffix = _ascii(name.removeprefix("*").strip("."))
        if suffix and (host == suffix or host.endswith(f".{suffix}")):
            return True
        if "*" in name and fnmatch.fnmatchcase(host, name):
            return True
        if address is not None and _is_within(address, name):
            return True
    return False


def _ascii(host: str) -> str:
    """A host as it is sent to a proxy: small letters, international ones encoded."""
    host = host.lower().rstrip(".")
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _split_port(entry: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"\[([^]]*)\](?::(\d+))?|([^:]*):(\d+)", entry)
    if match is None:
        return entry, None
    name, port = match[1] or match[3] or "", match[2] or match[4]
    return name, int(port) if port else None


def _is_within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
