"""The destination ``OTLP``: an endpoint, its headers and OpenTelemetry's variables; a value."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import ClassVar

import attrs

from sessiontrace.model.destination import Destination, Env, url_faults
from sessiontrace.model.secret import Secret

__all__ = ["OTLP"]


def _secrets(headers: Mapping[str, str | Secret]) -> Mapping[str, Secret]:
    return {
        name: value if isinstance(value, Secret) else Secret(value)
        for name, value in headers.items()
    }


@attrs.frozen(kw_only=True)
class OTLP(Destination):
    """Any OTLP/HTTP endpoint: a collector, Jaeger, Tempo, a vendor's.

    ``endpoint``: the base URL, to which ``/v1/traces`` is added; default
    ``OTEL_EXPORTER_OTLP_ENDPOINT``, else ``http://localhost:4318``. Nothing is added to
    ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``. ``headers``: such as an API key; default
    ``OTEL_EXPORTER_OTLP_TRACES_HEADERS`` or ``OTEL_EXPORTER_OTLP_HEADERS``. ``protobuf``: default
    by ``OTEL_EXPORTER_OTLP_PROTOCOL``, else JSON. ``gzip``: compress requests to a third of the
    bytes, for some 15 us of CPU an event; default by ``OTEL_EXPORTER_OTLP_COMPRESSION``, else off.
    The ``_TRACES_`` form of the last three variables wins over the general form. Source: the OTLP
    1.x specification and OTel's specification of its variables.
    """

    kind: ClassVar[str] = "otlp"
    URL_VARIABLE: ClassVar[str] = "OTEL_EXPORTER_OTLP_ENDPOINT"
    KEY_VARIABLE: ClassVar[str] = "OTEL_EXPORTER_OTLP_HEADERS"

    endpoint: str = ""
    headers: Mapping[str, Secret] = attrs.field(factory=dict, converter=_secrets)
    protobuf: bool | None = None
    gzip: bool | None = None
    allow_insecure: bool = False
    url: str = attrs.field(default="", init=False)

    def complete(self, env: Env) -> OTLP:
        exact = "" if self.endpoint else env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
        base = self.endpoint or env.get(self.URL_VARIABLE) or "http://localhost:4318"
        protobuf, gzip = self.protobuf, self.gzip
        if protobuf is None:
            protobuf = _variable(env, "PROTOCOL") == "http/protobuf"
        if gzip is None:
            gzip = _variable(env, "COMPRESSION") == "gzip"
        headers = self.headers or _parse_headers(_variable(env, "HEADERS"))
        complete = attrs.evolve(self, headers=headers, protobuf=protobuf, gzip=gzip)
        object.__setattr__(complete, "url", exact or f"{base.rstrip('/')}/v1/traces")
        return complete

    def faults(self) -> list[str]:
        faults = [
            *super().faults(),
            *url_faults(self.name, self.url, self.URL_VARIABLE, self.allow_insecure, "endpoint"),
        ]
        for name, value in self.headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not all(
                " " <= char <= "~" for char in value.reveal()
            ):
                faults.append(
                    f"{self.name}: header {name!r} has characters no header can carry; check "
                    "headers= or OTEL_EXPORTER_OTLP_HEADERS"
                )
        return faults

    def identity(self) -> tuple[str, str]:
        headers = sorted((name.lower(), value.reveal()) for name, value in self.headers.items())
        return ("\n".join(f"{name}: {value}" for name, value in headers), self.url)


def _variable(env: Env, setting: str) -> str:
    """One of OTel's settings: the one for traces, else the one for all signals."""
    name = f"OTEL_EXPORTER_OTLP_TRACES_{setting}"
    return env.get(name) or env.get(f"OTEL_EXPORTER_OTLP_{setting}", "")


def _parse_headers(text: str) -> dict[str, str]:
    """``name=value,name=value`` with percent-escapes, the syntax of OTel's variables."""
    headers = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            headers[urllib.parse.unquote(name.strip())] = urllib.parse.unquote(value.strip())
    return headers
