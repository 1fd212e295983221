"""opik: its decorator, to its batch endpoints."""

from __future__ import annotations

import os
from typing import Any

PACKAGES = ("opik",)
IMPORT = "import opik"
SETTINGS = "defaults without its own telemetry"
ROOTS = 2  # a trace and its first span

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    os.environ |= {
        "OPIK_URL_OVERRIDE": f"{url}/api/",
        "OPIK_API_KEY": "benchmark",
        "OPIK_WORKSPACE": "default",
        "OPIK_TRACK_DISABLE": str(not enabled).lower(),
        "OPIK_SENTRY_ENABLE": "false",
        "OPIK_ANALYTICS_ENABLE": "false",
        "OPIK_CONSOLE_LOGGING_LEVEL": "CRITICAL",
    }
    import opik

    _here.append(opik)


def decorate(function: Any) -> Any:
    return _here[0].track(name="step", type="llm")(function)


def session() -> Any:
    return _here[0].start_as_current_span("benchmark")


def flush() -> None:
    _here[0].flush_tracker()
