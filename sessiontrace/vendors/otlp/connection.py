"""What connects an OTLP exporter to its addresses: the lane's parts, with the content type.

Values and one transport, which runs on the sender's loop. Invariant: nothing is opened before the
lane asks for a transport, and nothing at the address for log events before a score is sent there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from sessiontrace.export.protocol import Reply, Request, Transport
from sessiontrace.model.network import Network
from sessiontrace.model.record import Record
from sessiontrace.vendors.otlp.evaluations import LOGS_PATH
from sessiontrace.vendors.shared.responses import NONE
from sessiontrace.vendors.vendor import VendorParts

if TYPE_CHECKING:
    from sessiontrace.vendors.otlp.exporter import OTLPExporter

__all__ = ["Address", "connection"]

_UNREACHABLE = 503


@attrs.frozen
class Address:
    """Where requests go and how. ``url``: that their paths are added to."""

    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    network: Network | None = attrs.field(default=None, repr=False)


def connection(
    exporter: OTLPExporter,
    spans: Address,
    logs: Address | None = None,
    *,
    gzip: bool,
    timeout: float | None = None,
) -> VendorParts:
    """Both ends of a lane. ``logs``: the complete URL for log events, where they are sent.

    ``timeout``: seconds for a request, by default the transport's own.
    """

    def transport_to(address: Address) -> Transport:
        from sessiontrace.vendors.shared.body_transforms import transforming_transport

        return transforming_transport(
            address.url,
            headers={**address.headers, "Content-Type": exporter.content_type},
            gzip=gzip,
            network=address.network,
            total=timeout,
        )

    def transport() -> Transport:
        if logs is None:
            return transport_to(spans)
        return _TwoAddresses(transport_to(spans), lambda: transport_to(logs))

    return VendorParts(exporter, transport)


class _TwoAddresses:
    """A transport to two addresses; one that fails for log events is a reply, not an exception.

    The lane would else wait with the spans.
    """

    def __init__(self, spans: Transport, open_logs: Callable[[], Transport]) -> None:
        self._spans = spans
        self._open_logs = open_logs
        self._logs: Transport | None = None

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        """The reply of the address that the request is for."""
        if request.path != LOGS_PATH or request.method == NONE:
            return await self._spans.send(request, records)
        try:
            self._logs = self._logs or self._open_logs()
            return await self._logs.send(attrs.evolve(request, path=""), records)
        except OSError as error:
            return Reply(_UNREACHABLE, {}, (str(error) or type(error).__name__).encode())

    async def close(self) -> None:
        """Close the connections to both."""
        await self._spans.close()
        if self._logs is not None:
            await self._logs.close()
