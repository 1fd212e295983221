"""HoneyHive: sessions, events and updates by its REST v1 API."""

from __future__ import annotations

from sessiontrace.export.protocol import Request, Transport
from sessiontrace.vendors.honeyhive.destination import HoneyHive
from sessiontrace.vendors.probe import HttpProbe
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

__all__ = ["VENDOR"]

_NO_EVENT = "00000000-0000-4000-8000-000000000000"


def _connect(destination: HoneyHive, services: PipelineServices) -> VendorParts:
    from sessiontrace.vendors.honeyhive.exporter import HoneyHiveExporter

    def transport() -> Transport:
        from sessiontrace.export.http_transport import HttpTransport

        return HttpTransport(destination.base_url, destination.api_key, network=destination.network)

    return VendorParts(HoneyHiveExporter(), transport)


def _probe(destination: HoneyHive) -> HttpProbe:
    return HttpProbe(
        url=destination.base_url,
        request=Request("GET", f"/v1/events/{_NO_EVENT}", b"", ()),
        url_variable=destination.URL_VARIABLE,
        key_variable=destination.KEY_VARIABLE,
        accepted_statuses=(400, 404),
    )


VENDOR = Vendor(destination=HoneyHive, connect=_connect, probe=_probe)
