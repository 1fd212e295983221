"""OTLP/HTTP: any collector or tracing backend that speaks OpenTelemetry."""

from __future__ import annotations

from sessiontrace.export.protocol import Request
from sessiontrace.model.ids import new_id
from sessiontrace.vendors.otlp.connection import connection
from sessiontrace.vendors.otlp.destination import OTLP
from sessiontrace.vendors.probe import HttpProbe
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

__all__ = ["VENDOR"]


def _connect(destination: OTLP, services: PipelineServices) -> VendorParts:
    from sessiontrace.vendors.otlp.exporter import OTLPExporter

    resource = {"service.instance.id": new_id(), **destination.resource}
    exporter = OTLPExporter(
        "", protobuf=bool(destination.protobuf), resource=resource, limits=destination.limits
    )

    headers = {name: value.reveal() for name, value in destination.headers.items()}
    return connection(
        exporter,
        destination.url,
        headers,
        gzip=bool(destination.gzip),
        network=destination.network,
        timeout=destination.timeout,
    )


def _probe(destination: OTLP) -> HttpProbe:
    no_spans = b"" if destination.protobuf else b'{"resourceSpans":[]}'
    return HttpProbe(
        url=destination.url,
        request=Request("POST", "", no_spans, ()),
        url_variable=destination.URL_VARIABLE,
        key_variable=destination.KEY_VARIABLE,
    )


VENDOR = Vendor(destination=OTLP, connect=_connect, probe=_probe)
