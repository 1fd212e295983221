"""Generation: one configuration of a tracer, with the recorder that handles keep and its pipeline.

``init`` makes one; any thread uses it. Its pipeline may end and another take its place (after
``shutdown`` and the same ``init``; after retirement, when a record still comes). Invariant: a
record goes only to the destinations of the configuration that its handle began in.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from sessiontrace import retirement
from sessiontrace.capture.first_use import Session, Span, UnrecordedSpan
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import Handle
from sessiontrace.capture.non_recording import SuppressedScope
from sessiontrace.capture.redaction.async_redactor import AsyncRedactionQueue
from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.config_memo import Configuration
from sessiontrace.model.destination import Destination
from sessiontrace.model.record import END, EVENT, START, UPDATE
from sessiontrace.pipeline import Pipeline
from sessiontrace.report import Report, Stats, total
from sessiontrace.runtime import log, process_hooks
from sessiontrace.runtime.process_hooks import ProcessListener
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.spool.frame import head

__all__ = ["Generation", "GenerationOwner"]

_left_to_parent: list[object] = []  # pipelines that a forked child must neither close nor collect


class GenerationOwner(ProcessListener, Protocol):
    """The tracer, as its generations see it."""

    def append_after_fork(self, generation: Generation, head: bytes, body: bytes) -> bool:
        """Take a record that a forked child offers to its parent's spool; whether it is spooled."""
        ...


class Generation:
    """Recorder and pipeline of one configuration; ``current``: the tracer's context variable."""

    def __init__(
        self,
        configuration: Configuration,
        owner: GenerationOwner,
        current: ContextVar[Handle | None],
    ) -> None:
        self.configuration = configuration
        destinations, options = configuration
        self.exit_timeout: float = options.exit_timeout
        self.is_shut: bool = False
        self._in_use = True
        self._owner = weakref.ref(owner)
        self._lock = ReentrantLock()  # held only while a pipeline is replaced
        self._past: list[Stats] = []
        self.pipeline: Pipeline = self._new_pipeline()
        functions = () if options.redact is None else options.redact.functions
        asynchronous = _asynchronous(functions)
        self.queue: AsyncRedactionQueue | None = (
            AsyncRedactionQueue(asynchronous, self.append, self.drop, on_start=self.register)
            if asynchronous
            else None
        )
        self.recorder: TracerState = TracerState(
            offer=self.pipeline.offer if self.queue is None else self.queue.offer,
            holds=self.holds,
            drop=self.pipeline.counters.drop,
            current=current,
            session_class=Session,
            span_class=Span,
            unrecorded_class=UnrecordedSpan,
            frame_headers=_frame_headers("*"),
            source=options.environment or options.service,
            service=options.service,
            capture=options.capture,
            redact=None
            if options.redact is None
            else Redactor(
                options.redact.keys,
                emails=options.redact.emails,
                functions=[function for function in functions if function not in asynchronous],
            ),
            sample=options.sample.head,
            route=_routes([destination.name for destination in destinations]),
            tracer=self._owner,
            trust=options.trust,
            propagators=options.propagators,
        )
        recorder = self.recorder
        recorder.stored_steps = _stored_steps(destinations)
        if self.queue is not None:
            self.queue.quiet = lambda: SuppressedScope(recorder)

    # -- the way of a record ----------------------------------------------------------------

    def append(self, head: bytes, body: bytes) -> bool:
        """A record that has passed redaction, into the pipeline of this moment."""
        return self.pipeline.offer(head, body)

    def holds(self, body: bytes) -> bool:
        """Whether this record was taken: an exception of a signal handler may hide the answer."""
        queued = self.queue is not None and self.queue.holds(body)
        return queued or self.pipeline.spool.holds(body)

    def drop(self, reason: str) -> None:
        """Count a record that is not offered."""
        self.pipeline.counters.drop(reason)

    def register(self) -> None:
        """Have the process call the tracer at exit and in a forked child, from now on."""
        owner = self._owner()
        if owner is not None:
            process_hooks.register(owner)

    def start(self) -> None:
        """Have hooks and threads before there is a record."""
        self.register()
        self.pipeline.start_threads()

    def append_after_fork(self, head: bytes, body: bytes) -> bool:
        """A record offered in a child whose fork ran no Python hook."""
        owner = self._owner()
        return owner is not None and owner.append_after_fork(self, head, body)

    def append_late(self, head: bytes, body: bytes) -> bool:
        """A record for a pipeline that has ended: to its successor, unless we were shut down."""
        with self._lock:
            if self.is_shut:
                self.drop("closed")
                return False
            if self.pipeline.closed:
                self._replace_pipeline()
                if not self._in_use:
                    retirement.retire(self)
        return self.pipeline.offer(head, body)

    def check_owner(self) -> None:
        """Called by the worker every half second: a tracer may have been collected.

        The worker calls on while its pipeline is closed for good: one release is enough.
        """
        if self._in_use and self._owner() is None and not self.is_shut:
            self.release()

    # -- life cycle -------------------------------------------------------------------------

    @property
    def is_gone(self) -> bool:
        """Whether nothing runs for it any more."""
        return self.pipeline.closed

    def release(self) -> None:
        """No tracer uses it any more: open handles may end, then it is closed."""
        self._in_use = False
        if not self.is_shut:
            retirement.retire(self)

    def revive(self) -> None:
        """Be in use again, after ``shutdown`` or retirement; open handles go on."""
        retirement.revive(self)
        with self._lock:
            was_shut, self.is_shut, self._in_use = self.is_shut, False, True
            if self.pipeline.closed:
                self._replace_pipeline()
            if was_shut:
                self._past.clear()  # `shutdown` has reported them
            if self.queue is not None:
                self.queue.reopen()

    def flush(self, timeout: float) -> Report:
        """Send what was recorded before this call; wait at most ``timeout`` seconds."""
        begun = time.monotonic()
        drained = self.queue is None or self.queue.drain(timeout)
        report = self.pipeline.flush(max(0.0, timeout - (time.monotonic() - begun)))
        return Report(drained and report.complete, time.monotonic() - begun, self.stats())

    def close(self, timeout: float) -> Report:
        """Deliver within ``timeout`` seconds and stop; later records are dropped as "closed"."""
        begun = time.monotonic()
        retirement.revive(self)
        drained = self.queue is None or self.queue.close(timeout)
        self.is_shut = True
        report = self.pipeline.close(max(0.0, timeout - (time.monotonic() - begun)))
        return Report(drained and report.complete, time.monotonic() - begun, self.stats())

    def abandon(self) -> None:
        """In a forked child: leave everything to the parent."""
        self.recorder.inert = True
        _left_to_parent.append(self)
        self.pipeline.abandon()

    def stats(self) -> Stats:
        """The counts of all pipelines so far."""
        waiting = 0 if self.queue is None else self.queue.pending()
        return total([*self._past, self.pipeline.stats()], waiting)

    # -- retirement (``retirement.Retired``) ------------------------------------------------

    def has_open_work(self) -> bool:
        """Whether sessions are open, or records wait before the spool."""
        return bool(
            (self.queue is not None and self.queue.pending()) or self.pipeline.has_open_sessions()
        )

    def owes_delivery(self) -> bool:
        """Whether records are not settled everywhere; tries threads that could not be started."""
        if not self.pipeline.nothing_pending():
            self.pipeline.start_threads()
            return True
        return False

    def retire(self, timeout: float) -> None:
        """Close; a record that still comes opens it anew."""
        if not self._in_use:
            self.pipeline.close(timeout, end_sessions=False)

    def close_at_exit(self, timeout: float) -> None:
        """Close for good, as far as ``timeout`` seconds reach."""
        self.close(timeout)

    def _new_pipeline(self) -> Pipeline:
        destinations, options = self.configuration
        return Pipeline(destinations, options, self)

    def _replace_pipeline(self) -> None:
        ended, self.pipeline = self.pipeline, self._new_pipeline()
        self.recorder.drop = self.pipeline.counters.drop  # not `drop`: a call less for each
        self._past.append(ended.stats())
        if self.queue is None:
            self.recorder.offer = self.pipeline.offer


def _asynchronous(functions: Sequence[Callable[..., Any]]) -> list[Callable[..., Any]]:
    """The redaction functions that are async."""
    if not functions:
        return []
    from sessiontrace.capture.decorators.function import is_async  # here: few programs have any

    return [function for function in functions if is_async(function)]


def _frame_headers(route: str) -> FrameHeaders:
    return FrameHeaders(*(head(kind, route.encode()) for kind in (START, EVENT, END, UPDATE)))


def _stored_steps(destinations: Sequence[Destination]) -> Callable[[str], Any] | None:
    """Reads a session's tree from the first local store among the destinations; None without."""
    paths = [getattr(item, "path", None) for item in destinations if item.kind == "local"]
    path = next(filter(None, paths), None)
    if path is None:
        return None

    def read(session_id: str) -> Any:
        from sessiontrace.views.notebook import stored_steps

        return stored_steps(path, session_id)

    return read


def _routes(names: Sequence[str]) -> Callable[[tuple[str, ...]], FrameHeaders | None]:
    """Maps the names in ``to=`` to frame headers; None when no destination has such a name."""

    @functools.lru_cache(maxsize=1_024)
    def route(targets: tuple[str, ...]) -> FrameHeaders | None:
        destinations = [name for name in names if name in targets]
        if unknown := [name for name in targets if name not in names]:
            log.log_once(
                f"route:{unknown}",
                "to=%s is not a configured destination; records for it are dropped and counted",
                ", ".join(unknown)[:200],
            )
        return _frame_headers(",".join(destinations)) if destinations else None

    return route
