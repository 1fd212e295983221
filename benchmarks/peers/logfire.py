"""logfire: spans by its decorator, to its OTLP endpoint."""

from __future__ import annotations

import os
from typing import Any

PACKAGES = ("logfire",)
IMPORT = "import logfire"
SETTINGS = "defaults without console; OTEL_BSP_MAX_QUEUE_SIZE 100 000; record_return"
ROOTS = 1

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = "100000"
    if not enabled:
        os.environ["OTEL_SDK_DISABLED"] = "true"
    import logfire

    logfire.configure(
        send_to_logfire=enabled,
        token="benchmark",
        service_name="benchmark",
        console=False,
        metrics=False,
        inspect_arguments=False,
        advanced=logfire.AdvancedOptions(base_url=url),
    )
    _here.append(logfire)


def decorate(function: Any) -> Any:
    return _here[0].instrument("step", extract_args=True, record_return=True)(function)


def session() -> Any:
    return _here[0].span("benchmark")


def flush() -> None:
    _here[0].force_flush(300_000)
