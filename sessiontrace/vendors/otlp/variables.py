"""OpenTelemetry's variables for OTLP exporters; pure functions, no thread owns them.

Source: OTel's specification of the OTLP exporter's configuration, version 1.x. Invariant: a
variable that sessiontrace cannot follow has a fault; none is ignored.
"""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Mapping

from sessiontrace.model.destination import Env
from sessiontrace.wire.span_attributes import AttributeLimits

__all__ = [
    "attribute_limits",
    "headers",
    "logs_headers",
    "logs_url",
    "names",
    "protocol",
    "sample_rate",
    "sends_logs",
    "timeout",
    "value",
]

_TRACES, _LOGS = "/v1/traces", "/v1/logs"

_PROTOCOLS = ("", "http/json", "http/protobuf")
_SAMPLERS: Mapping[str, float | None] = {"": None, "always_on": 1.0, "always_off": 0.0}
_LONGEST_IN_SECONDS = 120.0


def names(setting: str) -> tuple[str, str]:
    """The variable for traces, which wins, and the one for all signals."""
    return f"OTEL_EXPORTER_OTLP_TRACES_{setting}", f"OTEL_EXPORTER_OTLP_{setting}"


def value(env: Env, setting: str) -> str:
    """The setting for traces, else for all signals; empty where neither is set."""
    return _find(env, setting)[1]


def protocol(env: Env) -> tuple[str, list[str]]:
    """The protocol, and what is wrong with it."""
    variable, text = _find(env, "PROTOCOL")
    if text in _PROTOCOLS:
        return text, []
    if text == "grpc":
        fault = (
            f"{variable} is grpc, which sessiontrace does not speak; set {names('PROTOCOL')[0]}"
            "=http/protobuf, and the endpoint to the collector's HTTP port, usually 4318"
        )
    else:
        fault = f"{variable} must be http/protobuf or http/json, not {text[:40]!r}"
    return "", [fault]


def timeout(env: Env) -> tuple[float | None, list[str]]:
    """The timeout in seconds, and what is wrong with it.

    The specification counts milliseconds, OTel's SDK for Python seconds. Up to 120, which would be
    too short for milliseconds, the number counts seconds.
    """
    variable, text = _find(env, "TIMEOUT")
    if not text:
        return None, []
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        return None, [f"{variable} must be a number of milliseconds above 0, not {text[:40]!r}"]
    return (number if number <= _LONGEST_IN_SECONDS else number / 1000), []


def headers(env: Env) -> dict[str, str]:
    """``name=value,name=value`` with percent-escapes."""
    return _pairs(value(env, "HEADERS"))


def sends_logs(env: Env) -> bool:
    """Whether log events are sent, by ``OTEL_LOGS_EXPORTER``."""
    return env.get("OTEL_LOGS_EXPORTER", "").strip().lower() != "none"


def logs_url(env: Env, traces_url: str) -> str:
    """Where log events go: the variable's endpoint, else beside the spans; empty: nowhere."""
    exact = env.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "").strip()
    base = traces_url.removesuffix(_TRACES)
    return exact or ("" if base == traces_url else base + _LOGS)


def logs_headers(env: Env) -> dict[str, str]:
    """The headers for log events alone; empty: those of the spans."""
    return _pairs(env.get("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "").strip())


def _pairs(text: str) -> dict[str, str]:
    parsed = {}
    for part in text.split(","):
        name, equals, content = part.partition("=")
        if equals and name.strip():
            parsed[urllib.parse.unquote(name.strip())] = urllib.parse.unquote(content.strip())
    return parsed


def sample_rate(env: Env) -> tuple[float | None, list[str]]:
    """The share of sessions that ``OTEL_TRACES_SAMPLER`` records, and what is wrong with it."""
    sampler = env.get("OTEL_TRACES_SAMPLER", "").strip().removeprefix("parentbased_")
    if sampler in _SAMPLERS:
        return _SAMPLERS[sampler], []
    if sampler != "traceidratio":
        return None, [
            f"OTEL_TRACES_SAMPLER={sampler[:40]!r} is not supported; use always_on, always_off, "
            "traceidratio or the parentbased_ form of one, or sample="
        ]
    text = env.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        return None, [f"OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, not {text[:40]!r}"]
    return rate, []


def attribute_limits(env: Env) -> tuple[AttributeLimits, list[str]]:
    """How many attributes a span may have and how long, and what is wrong with the variables."""
    faults: list[str] = []
    limits = {
        "number": _count(env, "COUNT_LIMIT", faults),
        "characters": _count(env, "VALUE_LENGTH_LIMIT", faults),
    }
    return AttributeLimits(**{name: limit for name, limit in limits.items() if limit}), faults


def _count(env: Env, setting: str, faults: list[str]) -> int | None:
    for variable in (f"OTEL_SPAN_ATTRIBUTE_{setting}", f"OTEL_ATTRIBUTE_{setting}"):
        if text := env.get(variable, "").strip():
            if text.isdecimal() and int(text):
                return int(text)
            faults.append(f"{variable} must be a whole number above 0, not {text[:40]!r}")
            return None
    return None


def _find(env: Env, setting: str) -> tuple[str, str]:
    """Name and value of the variable that counts."""
    specific, general = names(setting)
    name = specific if env.get(specific, "").strip() else general
    return name, env.get(name, "").strip()
