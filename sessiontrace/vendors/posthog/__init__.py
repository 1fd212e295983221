"""PostHog: AI observability events through its public ingestion."""

from __future__ import annotations

from sessiontrace.export.protocol import Request, Transport
from sessiontrace.model.ids import now_ns
from sessiontrace.vendors.posthog.destination import PostHog
from sessiontrace.vendors.probe import HttpProbe
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

__all__ = ["VENDOR"]


def _connect(destination: PostHog, services: PipelineServices) -> VendorParts:
    from sessiontrace.vendors.posthog.exporter import PostHogExporter, stamp

    assert destination.api_key is not None  # it is complete
    key = destination.api_key

    def stamped(body: bytes) -> bytes:
        # The clock of the events' own times: PostHog computes the difference of the two.
        return stamp(body, key, now_ns() // 1_000_000)

    def transport() -> Transport:
        from sessiontrace.vendors.shared.body_transforms import transforming_transport

        return transforming_transport(
            destination.base_url,
            stamp=stamped,
            gzip=destination.gzip,
            network=destination.network,
        )

    return VendorParts(PostHogExporter(), transport)


def _probe(destination: PostHog) -> HttpProbe:
    return HttpProbe(
        url=destination.base_url,
        request=Request("POST", "/batch/", b'{"batch":[]}', ()),
        url_variable=destination.URL_VARIABLE,
        key_variable=destination.KEY_VARIABLE,
        accepted_statuses=(400,),
        accepted_text="the API accepts events; only --canary tests the key",
    )


VENDOR = Vendor(destination=PostHog, connect=_connect, probe=_probe)
