"""traceloop-sdk (OpenLLMetry): its decorators, to an OTLP endpoint."""

from __future__ import annotations

import contextlib
import os
from typing import Any

PACKAGES = ("traceloop-sdk", "httpx")  # it imports httpx and does not say so
IMPORT = "from traceloop.sdk import Traceloop\nfrom traceloop.sdk.decorators import task, workflow"
SETTINGS = "defaults without its own telemetry and metrics; OTEL_BSP_MAX_QUEUE_SIZE 100 000"
ROOTS = 1

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    os.environ |= {
        "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
        "TRACELOOP_TELEMETRY": "false",
        "TRACELOOP_METRICS_ENABLED": "false",
    }
    from traceloop.sdk import Traceloop, decorators

    with contextlib.redirect_stdout(None):
        Traceloop.init(
            app_name="benchmark",
            api_endpoint=url,
            api_key="benchmark",
            enabled=enabled,
            telemetry_enabled=False,
            instruments=set(),
        )
    _here.append(decorators)


def decorate(function: Any) -> Any:
    return _here[0].task(name="step")(function)


def session() -> Any:
    from opentelemetry.trace import get_tracer

    return get_tracer("benchmark").start_as_current_span("benchmark")


def flush() -> None:
    from opentelemetry.trace import get_tracer_provider

    get_tracer_provider().force_flush(300_000)  # type: ignore[attr-defined]
