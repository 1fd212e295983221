"""langfuse: its decorator, to its OTLP endpoint."""

from __future__ import annotations

import os
from typing import Any

PACKAGES = ("langfuse",)
IMPORT = "from langfuse import observe, get_client"
SETTINGS = "defaults, OTEL_BSP_MAX_QUEUE_SIZE 100 000"
ROOTS = 1

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    os.environ |= {
        "LANGFUSE_PUBLIC_KEY": "pk-lf-benchmark",
        "LANGFUSE_SECRET_KEY": "sk-lf-benchmark",
        "LANGFUSE_BASE_URL": url,
        "LANGFUSE_TRACING_ENABLED": str(enabled),
        "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
    }
    import langfuse

    _here.extend((langfuse, langfuse.get_client()))


def decorate(function: Any) -> Any:
    return _here[0].observe(name="step", as_type="generation")(function)


def session() -> Any:
    return _here[1].start_as_current_observation(name="benchmark", as_type="span")


def flush() -> None:
    _here[1].flush()
