"""The embedded store, one SQLite file that the background worker writes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sessiontrace.model.record import Record
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.vendors.local.destination import Local
from sessiontrace.vendors.probe import Finding
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

__all__ = ["VENDOR"]


def _connect(destination: Local, services: PipelineServices) -> VendorParts:
    from sessiontrace.vendors.local.exporter import LocalExporter
    from sessiontrace.vendors.local.transport import LocalTransport

    assert destination.path is not None  # it is complete
    transport = partial(
        LocalTransport,
        destination.path,
        services.submit,
        services.loss_report,
        limits=_limits(destination) if services.keeps_media else None,
        note=services.note,
    )
    return VendorParts(LocalExporter(), transport)


def _limits(destination: Local) -> MediaLimits:
    assert destination.media_item is not None  # it is complete
    assert destination.media_total is not None
    return MediaLimits(destination.media_item, destination.media_total)


def _check(destination: Local, canary: Sequence[Record]) -> list[Finding]:
    from sessiontrace.vendors.local.store_check import check_store

    assert destination.path is not None  # it is complete
    return check_store(destination.path, canary)


VENDOR = Vendor(destination=Local, connect=_connect, check=_check)
