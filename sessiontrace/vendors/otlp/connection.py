"""What connects an OTLP exporter to an address: the lane's parts, with the exporter's content type.

Values only; no thread owns them. Invariant: nothing is opened before the lane asks for a transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sessiontrace.export.protocol import Transport
from sessiontrace.model.network import Network
from sessiontrace.vendors.vendor import VendorParts

if TYPE_CHECKING:
    from sessiontrace.vendors.otlp.exporter import OTLPExporter

__all__ = ["connection"]


def connection(
    exporter: OTLPExporter,
    url: str,
    headers: Mapping[str, str],
    *,
    gzip: bool,
    network: Network | None,
    timeout: float | None = None,
) -> VendorParts:
    """Both ends of a lane. ``timeout``: seconds for a request, by default the transport's own."""

    def transport() -> Transport:
        from sessiontrace.vendors.shared.body_transforms import transforming_transport

        return transforming_transport(
            url,
            headers={**headers, "Content-Type": exporter.content_type},
            gzip=gzip,
            network=network,
            total=timeout,
        )

    return VendorParts(exporter, transport)
