"""Destinations: where records can go, and what each of them needs; values, no thread owns them.

Each is completed from the environment and says its own faults. Invariant: two with the same
fingerprint are the same place, and no fingerprint or fault gives a key away.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs

from sessiontrace.model.secret import Secret, secret

__all__ = [
    "DESTINATIONS",
    "OTLP",
    "Destination",
    "Env",
    "HoneyHive",
    "HttpDestination",
    "Humanloop",
    "Local",
    "PostHog",
    "default_store",
]

Env = Mapping[str, str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@attrs.frozen(kw_only=True)
class Destination:
    """Where records go. Subclasses add what their backend needs.

    ``name`` (default: the kind) tells several destinations of one kind apart in ``to=``, in
    reports and in the spool. ``start_at``: where a destination begins that earlier processes did
    not have. "newest": with this process's own records. "oldest": with all that those processes
    have left in the spool, because others have not taken it yet.
    """

    kind: ClassVar[str]
    name: str = ""
    start_at: str = "newest"

    def __attrs_post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    def complete(self, env: Env) -> Destination:
        """This destination with what was left out taken from the environment."""
        return self

    def faults(self) -> list[str]:
        """One sentence for each thing wrong with this (completed) destination."""
        found = []
        if not _NAME.match(self.name):
            found.append(
                f"destination name {self.name!r}: use 1 to 64 letters, digits, '.', '_' or '-', "
                "starting with a letter or digit"
            )
        if self.start_at not in ("newest", "oldest"):
            found.append(f"{self.name}: start_at must be 'newest' or 'oldest'")
        return found

    def fingerprint(self) -> str:
        """Tells whether two configurations mean the same place: kind, address, keyed hash of key.

        Records in a spool are delivered only to a destination with the fingerprint they were
        written for. The key cannot be recovered from it.
        """
        key, place = self.identity()
        digest = hmac.new(key.encode(), f"{self.kind}\n{place}".encode(), hashlib.sha256)
        return digest.hexdigest()[:32]

    def identity(self) -> tuple[str, str]:
        """The key and the place that together make this destination what it is."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class HttpDestination(Destination):
    """A destination behind a URL with a key.

    ``allow_insecure``: let ``http://`` go to other hosts than this one, key and all.
    """

    KEY_VARIABLE: ClassVar[str]
    URL_VARIABLE: ClassVar[str]
    DEFAULT_URL: ClassVar[str] = ""

    api_key: Secret | None = attrs.field(default=None, converter=secret)
    base_url: str = ""
    allow_insecure: bool = False

    def complete(self, env: Env) -> HttpDestination:
        url = self.base_url or env.get(self.URL_VARIABLE) or self.DEFAULT_URL
        return attrs.evolve(
            self,
            api_key=self.api_key or secret(env.get(self.KEY_VARIABLE)),
            base_url=url.rstrip("/"),
        )

    def faults(self) -> list[str]:
        return [
            *super().faults(),
            *_key_faults(self.name, "api_key", self.api_key, self.KEY_VARIABLE),
            *_url_faults(self.name, self.base_url, self.URL_VARIABLE, self.allow_insecure),
        ]

    def identity(self) -> tuple[str, str]:
        return (self.api_key.reveal() if self.api_key else "", self.base_url)


@attrs.frozen(kw_only=True)
class HoneyHive(HttpDestination):
    """HoneyHive's data plane (REST v1).

    ``api_key``: a project key; default ``HH_API_KEY``. ``base_url``: default ``HH_API_URL``, else
    HoneyHive's cloud. Source: HoneyHive's data-plane OpenAPI 1.9.0.
    """

    kind: ClassVar[str] = "honeyhive"
    KEY_VARIABLE: ClassVar[str] = "HH_API_KEY"
    URL_VARIABLE: ClassVar[str] = "HH_API_URL"
    DEFAULT_URL: ClassVar[str] = "https://api.dp1.us.honeyhive.ai"


@attrs.frozen(kw_only=True)
class PostHog(HttpDestination):
    """PostHog's AI observability, through its public ingestion.

    ``api_key``: the project's token (``phc_...``), not a personal key; default
    ``POSTHOG_API_KEY``. ``base_url``: default ``POSTHOG_HOST``, else PostHog's US cloud. ``gzip``:
    compress requests, a third of the bytes for some 15 us of CPU an event. Source: PostHog's
    ingestion service and Python SDK 7.91.
    """

    kind: ClassVar[str] = "posthog"
    KEY_VARIABLE: ClassVar[str] = "POSTHOG_API_KEY"
    URL_VARIABLE: ClassVar[str] = "POSTHOG_HOST"
    DEFAULT_URL: ClassVar[str] = "https://us.i.posthog.com"

    gzip: bool = False

    def faults(self) -> list[str]:
        found = super().faults()
        if self.api_key and self.api_key.reveal().startswith("phx_"):
            found.append(
                f"{self.name}: the key is a personal one (phx_); ingestion takes the project's "
                f"token (phc_), see the project's settings (api_key= or {self.KEY_VARIABLE})"
            )
        return found


@attrs.frozen(kw_only=True)
class Humanloop(HttpDestination):
    """A server that speaks Humanloop's API: the hosted service closed on 8 September 2025.

    ``api_key``: default ``HUMANLOOP_API_KEY``. ``base_url``: required, default
    ``HUMANLOOP_BASE_URL``; ``/v4`` or ``/v5`` is added where it has neither. ``version``: 4 (logs
    and sessions) or 5 (flows). ``project``: the project (v4) or directory (v5) that logs go to.
    Source: Humanloop's v4 OpenAPI document and v5 Python client 0.8.38.
    """

    kind: ClassVar[str] = "humanloop"
    KEY_VARIABLE: ClassVar[str] = "HUMANLOOP_API_KEY"
    URL_VARIABLE: ClassVar[str] = "HUMANLOOP_BASE_URL"

    version: int = 4
    project: str = "sessiontrace"

    def complete(self, env: Env) -> Humanloop:
        found = super().complete(env)
        assert isinstance(found, Humanloop)
        if found.base_url and not found.base_url.endswith(("/v4", "/v5")):
            found = attrs.evolve(found, base_url=f"{found.base_url}/v{self.version}")
        return found

    def faults(self) -> list[str]:
        found = super().faults()
        if not self.base_url:
            found = [
                *Destination.faults(self),
                *_key_faults(self.name, "api_key", self.api_key, self.KEY_VARIABLE),
                f"{self.name}: no base_url; Humanloop's hosted service closed in September 2025, "
                f"so name the server that speaks its API (base_url= or {self.URL_VARIABLE})",
            ]
        elif self.version in (4, 5) and not self.base_url.endswith(f"/v{self.version}"):
            found.append(
                f"{self.name}: base_url is of another version than version={self.version}; "
                f"change one of them (base_url= or {self.URL_VARIABLE})"
            )
        if self.version not in (4, 5):
            found.append(f"{self.name}: version must be 4 or 5, not {self.version!r}")
        if not self.project.strip():
            found.append(f"{self.name}: project must not be empty")
        return found

    def identity(self) -> tuple[str, str]:
        key, place = super().identity()
        return (key, f"{place} {self.project}")


def _secrets(headers: Mapping[str, str | Secret]) -> Mapping[str, Secret]:
    return {
        name: value if isinstance(value, Secret) else Secret(value)
        for name, value in headers.items()
    }


@attrs.frozen(kw_only=True)
class OTLP(Destination):
    """Any OTLP/HTTP endpoint: a collector, Jaeger, Tempo, a vendor's.

    ``endpoint``: its base, to which ``/v1/traces`` is added; default
    ``OTEL_EXPORTER_OTLP_ENDPOINT``, else ``http://localhost:4318``.
    ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is taken as it is. ``headers``: such as an API key;
    default ``OTEL_EXPORTER_OTLP_TRACES_HEADERS`` or ``OTEL_EXPORTER_OTLP_HEADERS``. ``protobuf``:
    default by ``OTEL_EXPORTER_OTLP_PROTOCOL``, JSON where nothing is said. ``gzip``: compress
    requests, a third of the bytes for some 15 us of CPU an event; default by
    ``OTEL_EXPORTER_OTLP_COMPRESSION``, else no. The last three have ``_TRACES_`` forms too, which
    go first. Source: the OTLP 1.x specification and OTel's specification of its variables.
    """

    kind: ClassVar[str] = "otlp"
    _VARIABLE: ClassVar[str] = "OTEL_EXPORTER_OTLP_ENDPOINT"

    endpoint: str = ""
    headers: Mapping[str, Secret] = attrs.field(factory=dict, converter=_secrets)
    protobuf: bool | None = None
    gzip: bool | None = None
    allow_insecure: bool = False
    url: str = attrs.field(default="", init=False)

    def complete(self, env: Env) -> OTLP:
        exact = "" if self.endpoint else env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
        base = self.endpoint or env.get(self._VARIABLE) or "http://localhost:4318"
        protobuf, gzip = self.protobuf, self.gzip
        if protobuf is None:
            protobuf = _told(env, "PROTOCOL") == "http/protobuf"
        if gzip is None:
            gzip = _told(env, "COMPRESSION") == "gzip"
        headers = self.headers or _parse_headers(_told(env, "HEADERS"))
        found = attrs.evolve(self, headers=headers, protobuf=protobuf, gzip=gzip)
        object.__setattr__(found, "url", exact or f"{base.rstrip('/')}/v1/traces")
        return found

    def faults(self) -> list[str]:
        found = [
            *super().faults(),
            *_url_faults(self.name, self.url, self._VARIABLE, self.allow_insecure, "endpoint"),
        ]
        for name, value in self.headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not all(
                " " <= char <= "~" for char in value.reveal()
            ):
                found.append(
                    f"{self.name}: header {name!r} has characters no header can carry; check "
                    "headers= or OTEL_EXPORTER_OTLP_HEADERS"
                )
        return found

    def identity(self) -> tuple[str, str]:
        held = sorted((name.lower(), value.reveal()) for name, value in self.headers.items())
        return ("\n".join(f"{name}: {value}" for name, value in held), self.url)


def _told(env: Env, what: str) -> str:
    """One of OTel's settings for all signals, unless there is one for traces."""
    name = f"OTEL_EXPORTER_OTLP_TRACES_{what}"
    return env.get(name) or env.get(f"OTEL_EXPORTER_OTLP_{what}", "")


def _parse_headers(listed: str) -> dict[str, str]:
    """``name=value,name=value`` with percent-escapes, as OTel's variables have it."""
    found = {}
    for part in listed.split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            found[urllib.parse.unquote(name.strip())] = urllib.parse.unquote(value.strip())
    return found


@attrs.frozen(kw_only=True)
class Local(Destination):
    """The embedded store: one SQLite file that ``sessiontrace serve`` shows.

    ``path``: default ``SESSIONTRACE_STORE``, else ``store.db`` in the user's data directory. What
    nothing was written to for 30 days is deleted, and the oldest above 2 GiB, unless a server of
    this store was told otherwise (``sessiontrace serve --keep-days 0 --keep-mib 0``: nothing).
    """

    kind: ClassVar[str] = "local"

    path: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))

    def complete(self, env: Env) -> Local:
        return attrs.evolve(self, path=(self.path or default_store(env)).expanduser().absolute())

    def faults(self) -> list[str]:
        found = super().faults()
        if self.path is not None and self.path.is_dir():
            found.append(
                f"{self.name}: path {str(self.path)!r} is a directory; name a file "
                "(path= or SESSIONTRACE_STORE)"
            )
        return found

    def identity(self) -> tuple[str, str]:
        return ("", str(self.path))


def default_store(env: Env | None = None) -> Path:
    """Where the embedded store is when nothing says otherwise."""
    env = os.environ if env is None else env
    if named := env.get("SESSIONTRACE_STORE"):
        return Path(named)
    import platformdirs  # here, because a program with a path of its own need not pay for it

    return Path(platformdirs.user_data_dir("sessiontrace")) / "store.db"


DESTINATIONS: Mapping[str, type[Destination]] = {
    cls.kind: cls for cls in (HoneyHive, Humanloop, PostHog, OTLP, Local)
}
"""The destinations by the name that ``init`` and ``SESSIONTRACE_DESTINATIONS`` take."""


def _key_faults(name: str, field: str, key: Secret | None, variable: str) -> list[str]:
    if not key:
        return [f"{name}: no key; pass {field}= or set {variable}"]
    if not all("!" <= char <= "~" for char in key.reveal()):
        return [
            f"{name}: the key has characters no header can carry (a space or line break, "
            f"perhaps); check {field}= or {variable}"
        ]
    return []


def _url_faults(
    name: str, url: str, variable: str, insecure: bool = False, argument: str = "base_url"
) -> list[str]:
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
    if parts.scheme == "http" and host not in _LOOPBACK and not insecure:
        return [
            f"{name}: {argument} is http:// to {host}, which would send the key in the clear; "
            f"use https:// ({where}), or allow_insecure=True"
        ]
    return []
