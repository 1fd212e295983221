"""Humanloop, version 4 and 5 of its API. The hosted service closed in September 2025."""

from __future__ import annotations

from sessiontrace.export.protocol import Request, Transport
from sessiontrace.vendors.humanloop.destination import Humanloop
from sessiontrace.vendors.probe import HttpProbe
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

__all__ = ["VENDOR"]


def _connect(destination: Humanloop, services: PipelineServices) -> VendorParts:
    from sessiontrace.vendors.humanloop.exporter_v4 import HumanloopExporter
    from sessiontrace.vendors.humanloop.exporter_v5 import HumanloopFlowsExporter

    exporter_class = HumanloopFlowsExporter if destination.version == 5 else HumanloopExporter

    def transport() -> Transport:
        from sessiontrace.vendors.shared.body_transforms import transforming_transport

        return transforming_transport(
            destination.base_url,
            destination.api_key,
            key_header="X-API-KEY",
            key_prefix="",
            network=destination.network,
        )

    # Humanloop refuses a child whose parent it does not have, and children end first.
    return VendorParts(exporter_class(destination.project), transport, hold=True)


def _probe(destination: Humanloop) -> HttpProbe:
    path = "/projects" if destination.version == 4 else "/prompts"
    return HttpProbe(
        url=destination.base_url,
        request=Request("GET", path, b"", ()),
        url_variable=destination.URL_VARIABLE,
        key_variable=destination.KEY_VARIABLE,
    )


VENDOR = Vendor(destination=Humanloop, connect=_connect, probe=_probe)
