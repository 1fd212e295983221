"""The pipeline: spool, background worker, sender and destinations of one configuration, connected.

``init`` constructs a pipeline in the user's thread; the first record starts its threads. Invariant:
the pipeline touches no disk, no socket and no thread before that first record.

Who calls whom
--------------
===================  =====================  ======================================================
From                 To                     When
===================  =====================  ======================================================
user's thread        ``Spool.append``       each record
``Spool``            ``Pipeline``           first record: ``_open``; record in a forked child:
                                            ``PipelineOwner.append_after_fork``
``Spool``            ``BackgroundWorker``   a segment is full: ``wake``
``Spool``            ``Sender``             new record while the lanes sleep: ``WakeSignal``
``BackgroundWorker`` ``Spool.maintain``     every half second and when woken, by ``_tick``
``Sender``           ``BackgroundWorker``   a recovered spool is delivered: ``submit(release)``
===================  =====================  ======================================================
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from sessiontrace.capture.encoding.media_buffer import BUFFER
from sessiontrace.config import Options
from sessiontrace.export.dead_letters import DeadLetters
from sessiontrace.export.sender import LaneSpec, Sender
from sessiontrace.model.destination import Destination
from sessiontrace.model.ids import checked_now, now_ns
from sessiontrace.model.record import END, abandoned_end
from sessiontrace.pricing.pricer import Pricer
from sessiontrace.report import Report, Stats
from sessiontrace.runtime import compiled_forms, log
from sessiontrace.runtime.counters import Counters
from sessiontrace.runtime.worker import BackgroundWorker
from sessiontrace.spool.frame import Consumer, head
from sessiontrace.spool.recovery.spool_recovery import SpoolRecovery
from sessiontrace.spool.spool import Spool
from sessiontrace.vendors import registry
from sessiontrace.vendors.vendor import PipelineServices

if TYPE_CHECKING:  # most pipelines have no store
    from sessiontrace.store.models import Document

__all__ = ["Pipeline", "PipelineOwner"]

_RECOVER_EVERY_S = 30.0
_CLOSING_S = 0.15  # of the time to close, for what comes after the last request


class PipelineOwner(Protocol):
    """The generation, as its pipeline sees it; ``Generation`` implements it."""

    def register(self) -> None:
        """The first record was taken: exit and forks matter from now on."""
        ...

    def check_owner(self) -> None:
        """Called every half second in the worker's thread."""
        ...

    def append_late(self, head: bytes, body: bytes) -> bool:
        """Take a record that came after the pipeline was closed, or count it as dropped."""
        ...

    def append_after_fork(self, head: bytes, body: bytes) -> bool:
        """Take a record that a forked child offers to its parent's spool; whether it is spooled."""
        ...


class Pipeline:
    """``offer`` takes a record from any thread; the other methods are life cycle.

    ``owner``: the generation; None for a command that delivers itself and neither forks nor
    exits with records pending.
    """

    def __init__(
        self,
        destinations: Sequence[Destination],
        options: Options,
        owner: PipelineOwner | None = None,
        adopt: Mapping[str, str] | None = None,
    ) -> None:
        self.options = options
        self.counters: Counters = Counters()
        self._owner = owner
        self.closed: bool = False
        self._next_recovery = 0.0
        self.worker: BackgroundWorker = BackgroundWorker(tick=self._tick, counters=self.counters)
        consumers = [
            Consumer(destination.name, destination.kind, destination.fingerprint())
            for destination in destinations
        ]
        self._pricer = Pricer(options.prices)
        compiled_forms.log_faults()
        self.spool: Spool = Spool(
            options.spool,
            consumers=consumers,
            service=options.service,
            quota=options.spool_quota,
            io=options.spool_io,
            durability=options.durability,
            counters=self.counters,
            on_open=self._open,
            on_fork=_refuse if owner is None else owner.append_after_fork,
            on_closed=None if owner is None else owner.append_late,
            on_roll=self.worker.wake,
            recovered=lambda: () if self._recovery is None else self._recovery.spools,
        )
        self.sender: Sender = Sender(
            lanes=[self._lane(destination) for destination in destinations],
            counters=self.counters,
            dead_letters=None
            if options.spool is None
            else DeadLetters(
                options.spool / "dead",
                fingerprints={consumer.name: consumer.fingerprint for consumer in consumers},
            ),
            signal=self.spool.new_records,
            worker=self.worker,
        )
        self._recovery = (
            None
            if options.spool is None
            else SpoolRecovery(
                options.spool,
                lambda: self.spool.id,
                consumers,
                self.counters,
                from_oldest=[
                    destination.name
                    for destination in destinations
                    if destination.start_at == "oldest"
                ],
                adopt=adopt,
            )
        )
        self.offer: Callable[[bytes, bytes], bool] = self.spool.append
        self._media_item: int = 0  # bytes of the largest medium that a local store keeps
        if options.media == "keep":
            limits = [getattr(item, "media_item", 0) for item in destinations]
            self._media_item = max(limits, default=0)
        if self._media_item:
            BUFFER.open(self._media_item)

    def _lane(self, destination: Destination) -> LaneSpec:
        reader = self.spool.reader(destination.name)
        services = PipelineServices(
            submit=self.worker.submit,
            loss_report=self._loss_report,
            keeps_media=self.options.media == "keep",
            note=self.counters.note,
        )
        parts = registry.connect(destination, services)
        return LaneSpec(
            destination.name,
            parts.exporter,
            parts.transport,
            reader,
            hold=parts.hold,
            sample=self.options.sample,
            pricing=self._pricer,
        )

    def _loss_report(self) -> Document | None:
        lost = self.stats().lost
        if not lost:
            return None
        from sessiontrace.store import loss_reports

        return loss_reports.report(self.spool.id, self.options.service, os.getpid(), lost)

    def flush(self, timeout: float) -> Report:
        """Send what was accepted before this call; wait at most ``timeout`` seconds."""
        begun = time.monotonic()
        complete = not self.closed or self.nothing_pending()
        if self.spool.mode != "unopened" and not self.closed:
            self.start_threads()
            complete = self.sender.request_flush().wait(timeout)
            self.spool.save_cursors(timeout - (time.monotonic() - begun))
        return Report(complete, time.monotonic() - begun, self.stats())

    def recover(self) -> int:
        """Deliver what ended processes left for these destinations; how many records that is."""
        self._next_recovery = time.monotonic() + _RECOVER_EVERY_S
        spools = [] if self._recovery is None else self._recovery.scan()
        for spool in spools:
            self.sender.add(spool)
        return sum(reader.pending() for spool in spools for reader in spool.readers.values())

    def close(self, timeout: float, *, end_sessions: bool = True) -> Report:
        """Deliver within ``timeout`` seconds, stop both threads; sessions still open end first.

        ``end_sessions``: False when their handles go on in another pipeline.
        """
        if self.closed:
            return Report(self.nothing_pending(), 0.0, self.stats())
        self.closed = True
        try:
            return self._close(timeout, end_sessions)
        except BaseException:  # Ctrl-C, or a signal's: another call goes on
            self.closed = False
            raise

    def _close(self, timeout: float, end_sessions: bool) -> Report:
        begun = time.monotonic()
        if self.spool.mode != "unopened":
            if end_sessions:
                self._end_open_sessions()
            else:  # what comes from now on belongs to the next pipeline
                self.spool.refuse()
            self.start_threads()
        self.sender.stop(max(timeout / 2, timeout - _CLOSING_S))
        self.worker.stop(max(0.1, timeout - (time.monotonic() - begun)))
        stats = self.stats()
        if self._recovery is not None:
            self._recovery.release()
        self.spool.close()
        self._close_buffer()
        return Report(self.nothing_pending(), time.monotonic() - begun, stats)

    def abandon(self) -> None:
        """In a forked child: leave spool, threads and sockets to the parent."""
        self.closed = True
        self.spool.abandon()
        self._close_buffer()

    def _close_buffer(self) -> None:
        if self._media_item:
            BUFFER.close(self._media_item)
            self._media_item = 0

    def stats(self) -> Stats:
        """The delivery counts now."""
        dropped, noted = self.counters.snapshot()
        directory = self.spool.directory
        return Stats(
            accepted=sum(self.spool.accepted().values()),
            dropped=dropped,
            noted=noted,
            spool_mode=self.spool.mode,
            spool=None if directory is None else str(directory),
            destinations=self.sender.report(),
            waiting_spools=0 if self._recovery is None else self._recovery.waiting,
        )

    def start_threads(self) -> bool:
        """Start worker and sender unless they run; False when the system gives no thread now."""
        if self.worker.start() and self.sender.start():
            return True
        log.log_once(
            "threads",
            "cannot start a thread now; records stay in the spool, and the next record or flush "
            "tries again",
        )
        return False

    def _end_open_sessions(self) -> None:
        for route, body in self.spool.open_starts():
            self.spool.append(head(END, route), abandoned_end(body, now_ns() // 1_000_000))

    def has_open_sessions(self) -> bool:
        """Whether a session of this process has no end yet."""
        return bool(self.spool.open_starts())

    def nothing_pending(self) -> bool:
        """Whether every record is settled at every destination."""
        return all(not delivery.pending for delivery in self.sender.report().values())

    def _open(self) -> bool:
        if self._owner is not None:
            self._owner.register()
        return self.closed or self.start_threads()

    def _tick(self) -> None:
        checked_now()  # after sleep or resume, also where no session begins
        self.spool.maintain()
        if self._owner is not None:
            self._owner.check_owner()
        room = self._recovery is not None and self._recovery.has_room()
        if room or time.monotonic() >= self._next_recovery:
            self.recover()


def _refuse(head: bytes, body: bytes) -> bool:
    """What the spool of a pipeline without an owner takes in a forked child: nothing."""
    return False
