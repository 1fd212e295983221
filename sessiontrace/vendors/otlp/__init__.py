"""OTLP/HTTP: any collector or tracing backend that speaks OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping

from sessiontrace.export.protocol import Request
from sessiontrace.model.ids import new_id
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.otlp.connection import Address, connection, no_spans
from sessiontrace.vendors.otlp.destination import OTLP
from sessiontrace.vendors.probe import HttpProbe
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

__all__ = ["VENDOR"]


def _connect(destination: OTLP, services: PipelineServices) -> VendorParts:
    from sessiontrace.vendors.otlp.evaluations import EvaluationRequests
    from sessiontrace.vendors.otlp.exporter import OTLPExporter

    resource = {"service.instance.id": new_id(), **destination.resource}
    protobuf = bool(destination.protobuf)
    scores = EvaluationRequests(resource, protobuf=protobuf) if destination.evaluations else None
    exporter = OTLPExporter(
        "",
        protobuf=protobuf,
        resource=resource,
        limits=destination.limits,
        scores=scores,
    )
    spans = Address(destination.url, _plain(destination.headers), destination.network)
    headers = _plain(destination.logs_headers or destination.headers)
    logs = Address(destination.logs_url, headers, destination.logs_network, complete=True)
    return connection(
        exporter,
        spans,
        logs if destination.evaluations else None,
        gzip=bool(destination.gzip),
        timeout=destination.timeout,
    )


def _plain(headers: Mapping[str, Secret]) -> dict[str, str]:
    return {name: value.reveal() for name, value in headers.items()}


def _probe(destination: OTLP) -> HttpProbe:
    body = no_spans(protobuf=bool(destination.protobuf))
    return HttpProbe(
        url=destination.url,
        request=Request("POST", "", body, ()),
        url_variable=destination.URL_VARIABLE,
        key_variable=destination.KEY_VARIABLE,
    )


VENDOR = Vendor(destination=OTLP, connect=_connect, probe=_probe)
