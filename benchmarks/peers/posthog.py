"""posthog: one $ai_generation event a call."""

from __future__ import annotations

import contextlib
import functools
import time
import uuid
from typing import Any

PACKAGES = ("posthog",)
IMPORT = "import posthog"
SETTINGS = "defaults, max_queue_size 100 000"
ROOTS = 1

_here: list[Any] = []
_trace = [""]


def start(url: str, enabled: bool = True) -> None:
    from posthog import Posthog

    client = Posthog("phc_benchmark", host=url, max_queue_size=100_000, disabled=not enabled)
    _here.append(client)


def decorate(function: Any) -> Any:
    client = _here[0]

    @functools.wraps(function)
    def traced(messages: Any) -> Any:
        begun = time.perf_counter()
        answer = function(messages)
        client.capture(
            "$ai_generation",
            distinct_id="ada",
            properties={
                "$ai_trace_id": _trace[0],
                "$ai_span_id": str(uuid.uuid4()),
                "$ai_span_name": "step",
                "$ai_input": messages,
                "$ai_output_choices": answer,
                "$ai_latency": time.perf_counter() - begun,
            },
        )
        return answer

    return traced


@contextlib.contextmanager
def session() -> Any:
    _trace[0] = str(uuid.uuid4())
    yield
    properties = {"$ai_trace_id": _trace[0], "$ai_span_name": "benchmark"}
    _here[0].capture("$ai_trace", distinct_id="ada", properties=properties)


def flush() -> None:
    _here[0].flush()
