"""Both ends of a lane to a vendor: its exporter, and how its transport is made.

Called where a pipeline is put together; transports are made later, in the sender's loop, because
aiohttp is loaded with them. Invariant: nothing here is imported for a destination that is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sessiontrace.export.protocol import Exporter, Transport
from sessiontrace.model.destination import OTLP, Destination, HoneyHive, Humanloop, PostHog
from sessiontrace.model.ids import now_ns
from sessiontrace.model.secret import Secret

__all__ = ["VendorParts", "parts_of"]


class VendorParts(NamedTuple):
    """``hold``: the backend wants a session's records together, and not before its end."""

    exporter: Exporter
    transport: Callable[[], Transport]
    hold: bool = False


def parts_of(destination: Destination) -> VendorParts:
    """The ends of a lane to a (completed) vendor's destination."""
    if isinstance(destination, HoneyHive):
        return _honeyhive(destination)
    if isinstance(destination, PostHog):
        return _posthog(destination)
    if isinstance(destination, Humanloop):
        return _humanloop(destination)
    assert isinstance(destination, OTLP)
    return _otlp(destination)


def _honeyhive(destination: HoneyHive) -> VendorParts:
    from sessiontrace.vendors.honeyhive.exporter import HoneyHiveExporter

    return VendorParts(
        HoneyHiveExporter(), lambda: _http(destination.base_url, destination.api_key)
    )


def _posthog(destination: PostHog) -> VendorParts:
    from sessiontrace.vendors.posthog.exporter import PostHogExporter, stamp

    assert destination.api_key is not None
    key = destination.api_key

    def stamped(body: bytes) -> bytes:
        # The same clock as the events' own times: PostHog compares the two.
        return stamp(body, key, now_ns() // 1_000_000)

    place, gzip = destination.base_url, destination.gzip
    return VendorParts(PostHogExporter(), lambda: _finishing(place, stamp=stamped, gzip=gzip))


def _humanloop(destination: Humanloop) -> VendorParts:
    from sessiontrace.vendors.humanloop.exporter_v4 import HumanloopExporter
    from sessiontrace.vendors.humanloop.exporter_v5 import HumanloopFlowsExporter

    kind = HumanloopFlowsExporter if destination.version == 5 else HumanloopExporter

    def transport() -> Transport:
        place, key = destination.base_url, destination.api_key
        return _finishing(place, key, key_header="X-API-KEY", key_prefix="")

    # No child is taken before its parent, and children end first.
    return VendorParts(kind(destination.project), transport, hold=True)


def _otlp(destination: OTLP) -> VendorParts:
    from sessiontrace.vendors.otlp.exporter import OTLPExporter

    exporter = OTLPExporter("", protobuf=bool(destination.protobuf))

    def transport() -> Transport:
        headers = {name: value.reveal() for name, value in destination.headers.items()}
        headers["Content-Type"] = exporter.content_type
        return _finishing(destination.url, headers=headers, gzip=bool(destination.gzip))

    return VendorParts(exporter, transport)


def _http(base_url: str, key: Secret | None, **options: Any) -> Transport:
    from sessiontrace.export.http_transport import HttpTransport

    return HttpTransport(base_url, key, **options)


def _finishing(
    base_url: str,
    key: Secret | None = None,
    *,
    stamp: Callable[[bytes], bytes] | None = None,
    gzip: bool = False,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Transport:
    from sessiontrace.vendors.shared.body_transforms import GZIP_HEADERS, BodyTransform

    if gzip:
        headers = {**(headers or {}), **GZIP_HEADERS}
    return BodyTransform(_http(base_url, key, headers=headers, **options), stamp, gzip=gzip)
