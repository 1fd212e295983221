"""The resource and scope of exported spans: which program recorded them, and with what.

Pure functions, no thread owns them. Source: OTel's conventions for resources. Invariant: spans of
one service and environment have one resource, and ``OTEL_RESOURCE_ATTRIBUTES`` wins over what
sessiontrace says, except for the service's name.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sessiontrace.runtime.version import version

__all__ = [
    "NO_ATTRIBUTES",
    "SCHEMA_URL",
    "SCOPE",
    "Origin",
    "by_origin",
    "parse_resource_attributes",
    "resource_attributes",
]

SCOPE = "sessiontrace"
"""The name of the instrumentation scope."""

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
"""The version of the GenAI conventions that ``semconv`` follows."""


NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class Origin(NamedTuple):
    """Where a span was recorded: the service's name, and its environment, by default its name."""

    service: str
    environment: str | None = None


def resource_attributes(origin: Origin, extra: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a resource; ``extra`` are the program's own."""
    attributes = {
        "service.name": origin.service,
        "telemetry.sdk.name": "sessiontrace",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": version(),
    }
    if origin.environment and origin.environment != origin.service:
        attributes["deployment.environment.name"] = origin.environment
    return {**attributes, **extra, "service.name": origin.service}


def by_origin(spans: Iterable[tuple[Origin, bytes]]) -> dict[Origin, list[bytes]]:
    """Encoded spans, grouped by origin, in order."""
    groups: dict[Origin, list[bytes]] = {}
    group: list[bytes] = []
    previous: Origin | None = None
    for origin, encoded in spans:
        if origin is not previous:  # as few are: their strings need not be hashed
            group = groups.setdefault(origin, [])
            previous = origin
        group.append(encoded)
    return groups


def parse_resource_attributes(text: str) -> tuple[dict[str, str], list[str]]:
    """``OTEL_RESOURCE_ATTRIBUTES``, percent-decoded, and what is wrong with it."""
    attributes, faults = {}, []
    text = text.encode(errors="replace").decode()  # a variable may have bytes that are not UTF-8
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            attributes[name.strip()] = urllib.parse.unquote(value.strip())
        else:
            faults.append(
                f"OTEL_RESOURCE_ATTRIBUTES must be name=value pairs with commas between, "
                f"not {part[:40]!r}"
            )
    return attributes, faults
