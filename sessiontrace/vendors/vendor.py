"""The extension point "vendor": what a package provides so that records can go to its backend.

Pure values; no thread owns them. A built-in vendor is a package beside this module whose
``__init__`` has a ``VENDOR``; another distribution registers its own under the entry point group
``sessiontrace.vendors``. Invariant: importing a ``VENDOR`` loads its destination class only; the
exporter and everything that does I/O is imported when ``connect`` or ``check`` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import attrs

from sessiontrace.export.protocol import Exporter, Transport
from sessiontrace.model.destination import Destination
from sessiontrace.model.record import Record
from sessiontrace.vendors.probe import Finding, HttpProbe

if TYPE_CHECKING:  # most destinations have no store
    from sessiontrace.store.models import Document

__all__ = ["PipelineServices", "Submit", "Vendor", "VendorParts"]

D = TypeVar("D", bound=Destination)


class Submit(Protocol):
    """Runs ``job`` on the background worker's thread, then ``done`` with its result or error."""

    def __call__(self, job: Callable[[], Any], done: Callable[[Any], None], /) -> None: ...


class PipelineServices(NamedTuple):
    """What a pipeline provides to the vendors it connects.

    ``submit``: for transports that block. ``loss_report``: the counts of what this process has
    lost so far, None while that is nothing. ``keeps_media``: whether a store may keep images,
    sounds and files; ``note``: counts something that ``stats`` shows, by its name.
    """

    submit: Submit = lambda job, done: None
    loss_report: Callable[[], Document | None] = lambda: None
    keeps_media: bool = False
    note: Callable[[str], None] = lambda name: None


class VendorParts(NamedTuple):
    """Both ends of a lane.

    ``transport`` is called in the sender's loop, again after each restart of that loop. ``hold``:
    the backend needs all records of a session together, after the session's end.
    """

    exporter: Exporter
    transport: Callable[[], Transport]
    hold: bool = False


@attrs.frozen(kw_only=True)
class Vendor(Generic[D]):
    """One vendor. Its name in ``init`` and ``SESSIONTRACE_DESTINATIONS`` is its destination's kind.

    ``destination``: the class of its destinations; without arguments it takes its key and address
    from the environment. ``connect``: makes the parts for a complete destination, without I/O.
    ``probe``: the harmless request with which ``sessiontrace doctor`` tests address and key.
    ``check``: for a vendor without HTTP, all that doctor can find out; the records it is passed are
    a canary to store, none without ``--canary``. With neither, doctor tests by canary only.
    """

    destination: type[D]
    connect: Callable[[D, PipelineServices], VendorParts]
    probe: Callable[[D], HttpProbe] | None = None
    check: Callable[[D, Sequence[Record]], list[Finding]] | None = None

    @property
    def kind(self) -> str:
        """The vendor's name."""
        return self.destination.kind
