"""opentelemetry-sdk with its BatchSpanProcessor and the OTLP/HTTP exporter (protobuf)."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
IMPORT = (
    "from opentelemetry.sdk.trace import TracerProvider\n"
    "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
    "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter"
)
SETTINGS = "BatchSpanProcessor's defaults, max_queue_size 100 000; payloads as JSON attributes"
ROOTS = 1

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    if not enabled:
        os.environ["OTEL_SDK_DISABLED"] = "true"
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000))
    _here.extend((provider.get_tracer("benchmark"), provider))


def decorate(function: Any) -> Any:
    from opentelemetry.trace import get_current_span

    @_here[0].start_as_current_span("step")
    @functools.wraps(function)
    def traced(messages: Any) -> Any:
        span = get_current_span()
        if not span.is_recording():
            return function(messages)
        span.set_attribute("gen_ai.input.messages", json.dumps(messages))
        answer = function(messages)
        span.set_attribute("gen_ai.output.messages", json.dumps(answer))
        return answer

    return traced


def session() -> Any:
    return _here[0].start_as_current_span("benchmark")


def flush() -> None:
    _here[1].force_flush(300_000)
