"""What connects an OTLP exporter to its addresses: the lane's parts, with the content type.

Values and one transport, which runs on the sender's loop. Invariant: nothing is opened before the
lane asks for a transport, and nothing at the address for scores before one is sent there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from sessiontrace.export.protocol import Reply, Request, Transport
from sessiontrace.model.network import Network
from sessiontrace.model.record import Record
from sessiontrace.vendors.shared.responses import NONE
from sessiontrace.vendors.vendor import VendorParts

if TYPE_CHECKING:
    from sessiontrace.vendors.otlp.exporter import OTLPExporter

__all__ = ["Address", "connection", "no_spans"]

_UNREACHABLE = 503


@attrs.frozen
class Address:
    """Where requests go and how. ``url``: that their paths are added to.

    ``complete``: the URL has the path already. ``content_type``: default, that of spans.
    """

    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    network: Network | None = attrs.field(default=None, repr=False)
    complete: bool = False
    content_type: str = ""


def no_spans(*, protobuf: bool) -> bytes:
    """A request of a resource without spans, which stores nothing; MLflow refuses an empty one."""
    return b"\x0a\x02\x12\x00" if protobuf else b'{"resourceSpans":[{"scopeSpans":[]}]}'


def connection(
    exporter: OTLPExporter,
    spans: Address,
    scores: Address | None = None,
    *,
    gzip: bool,
    timeout: float | None = None,
) -> VendorParts:
    """Both ends of a lane. ``scores``: where scores go besides; in JSON they are not compressed.

    ``timeout``: seconds for a request, by default the transport's own.
    """

    def transport_to(address: Address) -> Transport:
        from sessiontrace.vendors.shared.body_transforms import transforming_transport

        return transforming_transport(
            address.url,
            headers={
                **address.headers,
                "Content-Type": address.content_type or exporter.content_type,
            },
            gzip=gzip and not address.content_type,
            network=address.network,
            total=timeout,
        )

    def transport() -> Transport:
        if scores is None:
            return transport_to(spans)
        return _TwoAddresses(exporter.path, transport_to(spans), scores, transport_to)

    return VendorParts(exporter, transport)


class _TwoAddresses:
    """A transport to two addresses; one that fails for scores is a reply, not an exception.

    The lane would else wait with the spans.
    """

    def __init__(
        self,
        path: str,
        spans: Transport,
        scores: Address,
        transport_to: Callable[[Address], Transport],
    ) -> None:
        self._path = path
        self._spans = spans
        self._address = scores
        self._transport_to = transport_to
        self._scores: Transport | None = None

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        """The reply of the address that the request is for."""
        if request.path == self._path or request.method == NONE:
            return await self._spans.send(request, records)
        try:
            self._scores = self._scores or self._transport_to(self._address)
            path = "" if self._address.complete else request.path
            return await self._scores.send(attrs.evolve(request, path=path), records)
        except OSError as error:
            return Reply(_UNREACHABLE, {}, (str(error) or type(error).__name__).encode())

    async def close(self) -> None:
        """Close the connections to both."""
        await self._spans.close()
        if self._scores is not None:
            await self._scores.close()
