"""The destination ``OTLP``: an endpoint, its headers and OpenTelemetry's variables; a value."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import ClassVar

import attrs

from sessiontrace.model.destination import Env, NetworkDestination, url_faults
from sessiontrace.model.network import Network
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.otlp import variables
from sessiontrace.wire.otlp_resource import parse_resource_attributes
from sessiontrace.wire.span_attributes import DEFAULT_LIMITS, AttributeLimits

__all__ = ["OTLP"]

_PATH = "/v1/traces"
_GRPC_PORT = 4317


def _secrets(headers: Mapping[str, str | Secret]) -> Mapping[str, Secret]:
    return {
        name: value if isinstance(value, Secret) else Secret(value)
        for name, value in headers.items()
    }


@attrs.frozen(kw_only=True)
class OTLP(NetworkDestination):
    """Any OTLP/HTTP endpoint: a collector, Jaeger, Tempo, a vendor's.

    ``endpoint``: the base URL, to which ``/v1/traces`` is added unless it ends so; default
    ``OTEL_EXPORTER_OTLP_ENDPOINT``, else ``http://localhost:4318``. Nothing is added to
    ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``. ``headers``: such as an API key; default
    ``OTEL_EXPORTER_OTLP_TRACES_HEADERS`` or ``OTEL_EXPORTER_OTLP_HEADERS``. ``protobuf``: default
    by ``OTEL_EXPORTER_OTLP_PROTOCOL``, else True; False is JSON. ``gzip``: compress requests to a
    third of the bytes, for some 15 us of CPU an event; default by
    ``OTEL_EXPORTER_OTLP_COMPRESSION``, else off.
    ``evaluations``: send scores as ``gen_ai.evaluation.result`` events too, to ``/v1/logs`` beside
    the endpoint for spans, or to ``OTEL_EXPORTER_OTLP_LOGS_ENDPOINT``; default True unless
    ``OTEL_LOGS_EXPORTER`` is "none".
    ``timeout``: seconds for a request; default by ``OTEL_EXPORTER_OTLP_TIMEOUT``, else 10.
    ``ca_file``, ``client_cert``, ``client_key``: default by ``OTEL_EXPORTER_OTLP_CERTIFICATE``,
    ``..._CLIENT_CERTIFICATE`` and ``..._CLIENT_KEY``; ``insecure``: by ``..._INSECURE``. The
    ``_TRACES_`` form of a variable wins over the general form. ``OTEL_RESOURCE_ATTRIBUTES`` adds to
    the resource of all spans; ``OTEL_ATTRIBUTE_COUNT_LIMIT`` and ``..._VALUE_LENGTH_LIMIT`` bound
    their attributes. Source: the OTLP 1.x specification
    and OTel's specification of its variables.
    """

    kind: ClassVar[str] = "otlp"
    URL_VARIABLE: ClassVar[str] = "OTEL_EXPORTER_OTLP_ENDPOINT"
    KEY_VARIABLE: ClassVar[str] = "OTEL_EXPORTER_OTLP_HEADERS"
    TLS_VARIABLES: ClassVar[Mapping[str, Sequence[str]]] = {
        "ca_file": variables.names("CERTIFICATE"),
        "client_cert": variables.names("CLIENT_CERTIFICATE"),
        "client_key": variables.names("CLIENT_KEY"),
    }

    endpoint: str = ""
    headers: Mapping[str, Secret] = attrs.field(factory=dict, converter=_secrets)
    protobuf: bool | None = None
    gzip: bool | None = None
    timeout: float | None = None
    evaluations: bool | None = None
    logs_url: str = attrs.field(default="", init=False)
    logs_headers: Mapping[str, Secret] = attrs.field(factory=dict, init=False, repr=False)
    logs_network: Network | None = attrs.field(default=None, init=False, repr=False, eq=False)
    url: str = attrs.field(default="", init=False)
    limits: AttributeLimits = attrs.field(default=DEFAULT_LIMITS, init=False, repr=False)
    resource: Mapping[str, str] = attrs.field(factory=dict, init=False, repr=False)
    variable_faults: tuple[str, ...] = attrs.field(default=(), init=False, repr=False)

    def complete(self, env: Env) -> OTLP:
        exact = "" if self.endpoint else env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
        base = (self.endpoint or env.get(self.URL_VARIABLE) or "http://localhost:4318").rstrip("/")
        url = exact or (base if base.endswith(_PATH) else base + _PATH)
        protocol, protocol_faults = variables.protocol(env)
        timeout, timeout_faults = variables.timeout(env)
        logs_url = variables.logs_url({} if self.endpoint else env, url)
        evaluations = variables.sends_logs(env) if self.evaluations is None else self.evaluations
        complete = attrs.evolve(
            self,
            evaluations=evaluations and bool(logs_url),
            headers=self.headers or variables.headers(env),
            protobuf=protocol != "http/json" if self.protobuf is None else self.protobuf,
            gzip=variables.value(env, "COMPRESSION") == "gzip" if self.gzip is None else self.gzip,
            timeout=timeout if self.timeout is None else self.timeout,
            insecure=self.insecure or variables.value(env, "INSECURE").lower() == "true",
            network=self.network_to(url, env),
        )
        resource, resource_faults = parse_resource_attributes(
            env.get("OTEL_RESOURCE_ATTRIBUTES", "")
        )
        limits, limit_faults = variables.attribute_limits(env)
        faults = [
            *resource_faults,
            *limit_faults,
            *(protocol_faults if self.protobuf is None else ()),
            *(timeout_faults if self.timeout is None else ()),
        ]
        object.__setattr__(complete, "url", url)
        object.__setattr__(complete, "logs_url", logs_url)
        object.__setattr__(complete, "logs_network", self.network_to(logs_url, env))
        if not self.headers:
            logs_headers = _secrets(variables.logs_headers(env))
            object.__setattr__(complete, "logs_headers", logs_headers)
        object.__setattr__(complete, "resource", resource)
        object.__setattr__(complete, "limits", limits)
        object.__setattr__(complete, "variable_faults", tuple(faults))
        return complete

    def faults(self) -> list[str]:
        faults = [
            *super().faults(),
            *url_faults(
                self.name,
                self.url,
                self.URL_VARIABLE,
                self.allow_insecure or self.insecure or not self.headers,
                "endpoint",
                "the headers",
            ),
            *(self._logs_faults() if self.evaluations else ()),
            *(f"{self.name}: {fault}" for fault in self.variable_faults),
            *self.network_faults(),
        ]
        if not faults and urllib.parse.urlsplit(self.url).port == _GRPC_PORT:
            faults.append(
                f"{self.name}: endpoint names port 4317, which speaks gRPC; name the port for "
                f"http/protobuf, usually 4318 (endpoint= or {self.URL_VARIABLE})"
            )
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            faults.append(f"{self.name}: timeout must be a number of seconds above 0")
        for name, value in (*self.headers.items(), *self.logs_headers.items()):
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not all(
                " " <= char <= "~" for char in value.reveal()
            ):
                faults.append(
                    f"{self.name}: header {name!r} has characters no header can carry; check "
                    "headers= or OTEL_EXPORTER_OTLP_HEADERS"
                )
        return faults

    def _logs_faults(self) -> list[str]:
        if self.logs_url == variables.logs_url({}, self.url):  # as the endpoint for spans is
            return []
        headers = self.logs_headers or self.headers
        return url_faults(
            self.name,
            self.logs_url,
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            self.allow_insecure or self.insecure or not headers,
            "endpoint",
            "the headers",
        )

    def identity(self) -> tuple[str, str]:
        headers = sorted((name.lower(), value.reveal()) for name, value in self.headers.items())
        return ("\n".join(f"{name}: {value}" for name, value in headers), self.url)
