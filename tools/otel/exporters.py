"""OpenTelemetry's exporter for a backend, as its documentation says."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

__all__ = ["exporter"]


def exporter(backend: str, url: str, project: str) -> OTLPSpanExporter:
    """MLflow's experiment is in a header, Phoenix's project in the resource."""
    headers = {"x-mlflow-experiment-id": project} if backend == "mlflow" else {}
    return OTLPSpanExporter(endpoint=f"{url}/v1/traces", headers=headers)
