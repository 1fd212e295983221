"""mlflow-tracing: its decorator, to a tracking server."""

from __future__ import annotations

import os
from typing import Any

PACKAGES = ("mlflow-tracing",)
IMPORT = "import mlflow"
SETTINGS = "defaults, MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE 100 000"
ROOTS = 1

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    os.environ |= {
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE": "100000",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    import mlflow
    from mlflow.entities.trace_location import MlflowExperimentLocation

    # A set MLFLOW_EXPERIMENT_ID makes this package trace nothing: it looks for a class it lacks.
    mlflow.tracing.set_destination(MlflowExperimentLocation("1"))
    if not enabled:
        mlflow.tracing.disable()
    _here.append(mlflow)


def decorate(function: Any) -> Any:
    return _here[0].trace(name="step", span_type="LLM")(function)


def session() -> Any:
    return _here[0].start_span("benchmark")


def flush() -> None:
    _here[0].flush_trace_async_logging()
