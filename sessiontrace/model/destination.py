"""Destinations: where records can go, and what a vendor behind HTTP needs; values.

Each vendor's own class is in its package under ``vendors``. No thread owns a destination.
Invariant: two destinations with the same fingerprint are the same place, and no fingerprint and no
fault contains a key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs

from sessiontrace.model.later_types import name_types
from sessiontrace.model.network import TLS_VARIABLES, Network
from sessiontrace.model.proxy import is_this_machine
from sessiontrace.model.secret import Secret, secret

__all__ = [
    "Destination",
    "Env",
    "HttpDestination",
    "NetworkDestination",
    "key_faults",
    "url_faults",
]

Env = Mapping[str, str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@attrs.frozen(kw_only=True)
class Destination:
    """Where records go. Subclasses add what their backend needs.

    ``kind``: the vendor's name in the registry. ``name`` (default: the kind) distinguishes several
    destinations of one kind in ``to=``, in reports and in the spool. ``start_at``: where a
    destination begins that earlier processes did not have. "newest": with this process's own
    records. "oldest": with all records that those processes left in the spool for other
    destinations.
    """

    kind: ClassVar[str]
    name: str = ""
    start_at: str = "newest"

    def __init_subclass__(cls) -> None:
        name_types(cls)

    def __attrs_post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    def complete(self, env: Env) -> Destination:
        """A copy of this destination with missing values taken from the environment."""
        return self

    def faults(self) -> list[str]:
        """One sentence for each thing wrong with this (completed) destination."""
        faults = []
        if not _NAME.match(self.name):
            faults.append(
                f"destination name {self.name!r}: use 1 to 64 letters, digits, '.', '_' or '-', "
                "starting with a letter or digit"
            )
        if self.start_at not in ("newest", "oldest"):
            faults.append(f"{self.name}: start_at must be 'newest' or 'oldest'")
        return faults

    def fingerprint(self) -> str:
        """The identity of the place, 32 hex digits: a hash of kind and address, keyed by the key.

        A spool's records go only to a destination with the fingerprint they were written for. The
        key cannot be recovered from it.
        """
        key, place = self.identity()
        digest = hmac.new(key.encode(), f"{self.kind}\n{place}".encode(), hashlib.sha256)
        return digest.hexdigest()[:32]

    def identity(self) -> tuple[str, str]:
        """The key and the address that identify this destination."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class NetworkDestination(Destination):
    """A destination that HTTP requests reach.

    ``proxy``: URL of an HTTP proxy, with user and password where it needs them; default by the
    proxy variables of the environment, ``""`` for a direct connection. ``ca_file``: certificates to
    trust instead of the system's; default by ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` or
    ``REQUESTS_CA_BUNDLE``. ``client_cert``, ``client_key``: PEM files that identify this client;
    the first may hold both. ``allow_insecure``: permit ``http://`` to other hosts, which sends keys
    and headers in the clear; ``insecure`` is OpenTelemetry's name for the same. ``network`` is what
    ``complete`` makes of these and the environment. None of them changes the fingerprint.
    """

    TLS_VARIABLES: ClassVar[Mapping[str, Sequence[str]]] = TLS_VARIABLES

    proxy: Secret | None = attrs.field(default=None, converter=secret)
    ca_file: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    client_cert: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    client_key: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    allow_insecure: bool = False
    insecure: bool = False
    network: Network | None = attrs.field(default=None, repr=False, eq=False)

    def network_to(self, url: str, env: Env) -> Network:
        """The way to a URL by this destination's arguments and the environment."""
        return Network.of(
            url,
            env,
            proxy=self.proxy,
            variables=self.TLS_VARIABLES,
            ca_file=self.ca_file,
            client_cert=self.client_cert,
            client_key=self.client_key,
        )

    def network_faults(self) -> list[str]:
        """What is wrong with proxy and certificates."""
        network = self.network or self.network_to("", {})
        return [f"{self.name}: {fault}" for fault in network.faults()]


@attrs.frozen(kw_only=True)
class HttpDestination(NetworkDestination):
    """A destination behind a URL with an API key. A subclass names the variables of both.

    ``KEY_ARGUMENT``: the argument that gives the key. ``KEY_REQUIRED``: False where a backend may
    have no keys.
    """

    KEY_VARIABLE: ClassVar[str]
    URL_VARIABLE: ClassVar[str]
    DEFAULT_URL: ClassVar[str] = ""
    KEY_ARGUMENT: ClassVar[str] = "api_key"
    KEY_REQUIRED: ClassVar[bool] = True

    api_key: Secret | None = attrs.field(default=None, converter=secret)
    base_url: str = ""

    def complete(self, env: Env) -> HttpDestination:
        url = self.base_url or env.get(self.URL_VARIABLE) or self.DEFAULT_URL
        changes: dict[str, Any] = {
            self.KEY_ARGUMENT: self.api_key or secret(env.get(self.KEY_VARIABLE)),
            "base_url": url.rstrip("/"),
            "network": self.network_to(url, env),
        }
        return attrs.evolve(self, **changes)

    def faults(self) -> list[str]:
        keyless = self.api_key is None and not self.KEY_REQUIRED
        insecure = self.allow_insecure or self.insecure or keyless
        return [
            *super().faults(),
            *(
                ()
                if keyless
                else key_faults(self.name, self.KEY_ARGUMENT, self.api_key, self.KEY_VARIABLE)
            ),
            *url_faults(self.name, self.base_url, self.URL_VARIABLE, insecure),
            *self.network_faults(),
        ]

    def identity(self) -> tuple[str, str]:
        return (self.api_key.reveal() if self.api_key else "", self.base_url)


def key_faults(name: str, field: str, key: Secret | None, variable: str) -> list[str]:
    """What is wrong with a key that argument ``field`` or environment ``variable`` gives."""
    if not key:
        return [f"{name}: no key; pass {field}= or set {variable}"]
    if not all("!" <= char <= "~" for char in key.reveal()):
        return [
            f"{name}: the key has characters no header can carry (a space or line break, "
            f"perhaps); check {field}= or {variable}"
        ]
    return []


def url_faults(
    name: str,
    url: str,
    variable: str,
    insecure: bool = False,
    argument: str = "base_url",
    confidential: str = "the key",
) -> list[str]:
    """What is wrong with a URL that ``argument`` or environment ``variable`` gives.

    ``confidential``: what must not go there in the clear, unless ``insecure``.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return [f"{name}: {argument} cannot be read as a URL; check {argument}= or {variable}"]
    where = f"{argument}= or {variable}"
    if parts.scheme not in {"http", "https"} or not host:
        return [f"{name}: {argument} must start with https:// and name a host; check {where}"]
    if parts.username is not None or parts.password is not None:
        better = "api_key=" if argument == "base_url" else "headers="
        return [f"{name}: {argument} must not carry a user or password; use {better} ({where})"]
    if parts.query or parts.fragment:
        return [f"{name}: {argument} must not have a query or fragment; check {where}"]
    if parts.scheme == "http" and not insecure and not is_this_machine(host):
        return [
            f"{name}: {argument} is http:// to {host}, which would send {confidential} in the "
            f"clear; use https:// ({where}), or allow_insecure=True"
        ]
    return []
