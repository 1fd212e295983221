"""Tracer: the API's methods over one configuration at a time; any user thread calls them.

Invariant: once a configuration is accepted no method raises, whatever its arguments.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.api_methods import Tracing
from sessiontrace.capture.context import executors, gc_guard
from sessiontrace.capture.decorators.function import is_async
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import Handle
from sessiontrace.capture.non_recording import SuppressedScope
from sessiontrace.capture.session import Session
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.errors import ConfigError
from sessiontrace.runtime import log

if TYPE_CHECKING:
    from sessiontrace.capture.redaction.async_redactor import AsyncRedactionQueue
    from sessiontrace.config import Options
    from sessiontrace.instrumentation.registry import InstrumentReport
    from sessiontrace.model.destination import Destination
    from sessiontrace.model.sampling import Sample
    from sessiontrace.pipeline import Pipeline
    from sessiontrace.report import Report, Stats

__all__ = ["Tracer"]

ProcessCallWrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

_left_to_parent: list[object] = []  # pipelines that a forked child must neither close nor collect


class Tracer(Tracing):
    """An independent tracer: its own destinations, spool and current span.

    Takes what ``sessiontrace.init`` takes and raises ``ConfigError`` likewise. Most programs need
    none: the module-level functions of ``sessiontrace`` work on a default one.
    """

    def __init__(self, *targets: str | Destination, **options: Any) -> None:
        self._prepare()
        self.configure(targets, options)

    @classmethod
    def unconfigured(cls, wrap_process_call: ProcessCallWrapper | None = None) -> Tracer:
        """A tracer that configures itself from the environment when it is first used.

        ``wrap_process_call``: turns a function submitted to a process pool into a picklable one
        that runs in the current span there; None when spans stay in this process.
        """
        tracer = cls.__new__(cls)
        tracer._prepare(wrap_process_call)
        return tracer

    def _prepare(self, wrap_process_call: ProcessCallWrapper | None = None) -> None:
        self.off = False
        self._wrap_process_call = wrap_process_call
        self.recorder: TracerState | None = None
        self.exit_timeout = 2.0
        self._pipeline: Pipeline | None = None
        self._redaction_queue: AsyncRedactionQueue | None = None
        self._configured: tuple[tuple[Destination, ...], Options] | None = None
        self._current: ContextVar[Handle | None] = ContextVar("sessiontrace.current", default=None)
        self._lock = threading.RLock()
        self._pid = os.getpid()

    # -- configuration ----------------------------------------------------------------------

    def init(
        self,
        *targets: str | Destination,
        service: str | None = None,
        environment: str | None = None,
        capture: bool | None = None,
        spool: bool | str | os.PathLike[str] | None = None,
        durability: str | None = None,
        exit_timeout: float | None = None,
        on_sigterm: str | None = None,
        enabled: bool | None = None,
        redact: bool | str | Callable[[str, Any], Any] | Sequence[Any] | None = None,
        sample: float | Sample | None = None,
        threads: bool | None = None,
    ) -> None:
        """Configure the tracer. Without it the first session reads the environment.

        ``targets``: destinations, by name ("local", "honeyhive", "humanloop", "posthog", "otlp", or
        that of an installed plug-in) or as objects (``HoneyHive(api_key=..., base_url=...)``,
        ``Local(path=...)``). Default: those that ``SESSIONTRACE_DESTINATIONS`` names, else every
        built-in vendor whose key is set, else "local".

        ``service``: your program's name (default ``OTEL_SERVICE_NAME``, else the script's name).
        ``environment``: such as "prod"; becomes the source of sessions. ``capture``: False records
        no inputs and outputs. ``redact``: functions ``fn(field, value)`` that mask more than is
        masked by default; False masks nothing. ``sample``: the share of sessions to record, from 0
        to 1, or a ``Sample`` that also keeps what failed, was slow or scored low. ``threads``:
        False leaves threads and executors without the span they were started in.

        ``spool``: directory for records not delivered yet, False for memory only. ``durability``:
        "process" (default) survives the death of the process; "sync" also that of the machine, at
        some milliseconds an event. ``exit_timeout``: seconds that exit may take, default 2.
        ``on_sigterm``: "flush" delivers within that time when SIGTERM ends the program, where
        nothing else handles it; "ignore" (default) leaves that to the next run. ``enabled``: False
        records nothing.

        Each has a variable ``SESSIONTRACE_<NAME>`` for when it is not given.

        Raises ``ConfigError``, with every fault and its remedy. Nothing raises after that.
        """
        self.configure(
            targets,
            {
                "service": service,
                "environment": environment,
                "capture": capture,
                "spool": spool,
                "durability": durability,
                "exit_timeout": exit_timeout,
                "on_sigterm": on_sigterm,
                "enabled": enabled,
                "redact": redact,
                "sample": sample,
                "threads": threads,
            },
        )

    def configure(self, targets: tuple[str | Destination, ...], options: Mapping[str, Any]) -> None:
        """Take a new configuration; an earlier one is flushed and shut down first.

        Raises ``ConfigError`` with every fault found; then the earlier one stays in force.
        """
        from sessiontrace.config import resolve

        configuration = resolve(targets, options)
        with self._lock:
            if self._pipeline is not None:
                self._close(self._pipeline, self.exit_timeout)
            self._configured = configuration
            self._install()

    def begin(self) -> TracerState | None:
        """The recorder, after configuring from the environment if need be; None when off."""
        with self._lock:
            if self.recorder is None and not self.off:
                try:
                    self.configure((), {})
                except ConfigError as error:
                    self.off = True
                    log.log_once("config", "%s\nTracing is disabled until this is fixed.", error)
                except Exception as error:
                    self.off = True
                    log.log_once("config", "sessiontrace cannot start (%s)", type(error).__name__)
            return self.recorder

    def _install(self) -> None:
        """Pipeline and recorder for the configuration in force."""
        from sessiontrace.capture.redaction.async_redactor import AsyncRedactionQueue
        from sessiontrace.capture.redaction.redactor import Redactor
        from sessiontrace.pipeline import Pipeline
        from sessiontrace.runtime import process_hooks

        assert self._configured is not None
        destinations, options = self._configured
        self._pid = os.getpid()
        self.exit_timeout = options.exit_timeout
        self.off = not options.enabled
        self._pipeline = self.recorder = self._redaction_queue = None
        if self.off:
            return
        if options.on_sigterm == "flush":
            process_hooks.flush_on_sigterm()
        pipeline = Pipeline(
            destinations,
            options,
            self,
        )
        functions = () if options.redact is None else options.redact.functions
        sync, asynchronous = _split_redactors(functions)
        queue = (
            AsyncRedactionQueue(asynchronous, pipeline.offer, pipeline.counters.drop)
            if asynchronous
            else None
        )
        self.recorder = recorder = TracerState(
            offer=pipeline.offer if queue is None else queue.offer,
            drop=pipeline.counters.drop,
            current=self._current,
            new_session=Session,
            frame_headers=_frame_headers("*"),
            source=options.environment or options.service,
            service=options.service,
            capture=options.capture,
            redact=None
            if options.redact is None
            else Redactor(options.redact.keys, emails=options.redact.emails, functions=sync),
            sample=options.sample.head,
            route=_routes([destination.name for destination in destinations]),
        )
        gc_guard.guard(self)
        if queue is not None:
            queue.quiet = lambda: SuppressedScope(recorder)
        self._redaction_queue = queue
        self._pipeline = pipeline
        if options.threads:
            executors.carry(self._current)
            if self._wrap_process_call is not None:
                executors.carry_into_processes(self._wrap_process_call)
        else:
            executors.release(self._current)

    # -- delivery ---------------------------------------------------------------------------

    def flush(self, timeout: float = 5.0) -> Report:
        """Send everything recorded before this call; block for at most ``timeout`` seconds.

        The report is true when every destination has settled all of it.
        """
        pipeline = self._pipeline
        if pipeline is None:
            return _empty_report()
        begun = time.monotonic()
        if self._redaction_queue is not None:
            self._redaction_queue.drain(timeout)
        return pipeline.flush(max(0.0, timeout - (time.monotonic() - begun)))

    async def aflush(self, timeout: float = 5.0) -> Report:
        """``flush`` without blocking the event loop (asyncio or trio)."""
        return await _in_thread(functools.partial(self.flush, timeout))

    def shutdown(self, timeout: float | None = None) -> Report:
        """Flush and stop, within ``timeout`` seconds (default ``exit_timeout``).

        Happens by itself at exit. What is left stays in the spool for the next run. Spans after it
        are counted as dropped ("closed") until the next ``init``.
        """
        with self._lock:
            pipeline = self._pipeline
        if pipeline is None:
            return _empty_report()
        return self._close(pipeline, self.exit_timeout if timeout is None else timeout)

    def _close(self, pipeline: Pipeline, timeout: float) -> Report:
        begun = time.monotonic()
        if self._redaction_queue is not None:
            self._redaction_queue.close(timeout)
        return pipeline.close(max(0.0, timeout - (time.monotonic() - begun)))

    async def ashutdown(self, timeout: float | None = None) -> Report:
        """``shutdown`` without blocking the event loop (asyncio or trio)."""
        return await _in_thread(functools.partial(self.shutdown, timeout))

    def stats(self) -> Stats:
        """Delivery counts: records accepted, dropped by reason, and settled at each destination."""
        pipeline = self._pipeline
        return _empty_report().stats if pipeline is None else pipeline.stats()

    # -- other libraries --------------------------------------------------------------------

    def instrument(self, *names: str, block: Collection[str] = ()) -> InstrumentReport:
        """Record the calls that other libraries make: model calls become model events.

        ``names``: the libraries ("openai", "anthropic", ...), default all that are known;
        ``block``: those to leave alone. May be called before or after they are imported, and again.
        The report lists what is active, waiting for its import, absent or failed, and why. Nothing
        is raised.
        """
        from sessiontrace.instrumentation.registry import instruments

        return instruments(self).add(names, block)

    def uninstrument(self) -> None:
        """Undo ``instrument``: the libraries are as they were."""
        from sessiontrace.instrumentation.registry import instruments

        instruments(self).remove()

    def asgi(self, app: Any, *, ignore: Collection[str] = ()) -> Any:
        """An ASGI application with a session around each request: ``app = st.asgi(app)``.

        The session is named like the route and has the method, path and status; a request with an
        ``x-session-id`` header is a turn of that conversation. It stays open for streamed bodies
        and background tasks. ``ignore``: paths without a session, such as health checks. For
        Starlette and FastAPI also ``app.add_middleware(st.asgi)``.
        """
        from sessiontrace.instrumentation.web.asgi import Asgi

        return Asgi(app, self, ignore=ignore)

    # -- life cycle -------------------------------------------------------------------------

    def at_exit(self, timeout: float) -> None:
        """Called once when the interpreter exits."""
        report = self.shutdown(timeout)
        undelivered = {
            name: delivery
            for name, delivery in report.stats.destinations.items()
            if delivery.pending
        }
        for name, delivery in undelivered.items():
            log.log_once(
                f"exit:{name}",
                "%d records are not delivered to %s yet (%s); they stay in %s for the next run",
                delivery.pending,
                name,
                delivery.last_error or "no time was left",
                report.stats.spool or "memory and are lost, there is no spool directory",
            )

    def after_fork(self) -> None:
        """Called in a forked child: open handles stay with the parent, everything else restarts."""
        self._lock = threading.RLock()
        if self._pid == os.getpid() or self._pipeline is None or self.recorder is None:
            return
        self.recorder.inert = True
        _left_to_parent.append(self._pipeline)
        self._pipeline.abandon()
        self._install()

    def append_after_fork(self, head: bytes, body: bytes) -> bool:
        """Take a record that the parent's spool refused, in a child whose fork ran no Python hook.

        A handle opened in the child goes on. A handle that was open at the fork looks the same, so
        it ends twice, with the same id.
        """
        recorder = self.recorder
        self.after_fork()
        if self._pipeline is None:
            return False
        if recorder is not None:
            recorder.offer, recorder.drop = self._pipeline.offer, self._pipeline.counters.drop
            recorder.inert = False
        return self._pipeline.offer(head, body)


def _split_redactors(functions: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The user's redactors: the sync functions, then the async functions."""
    asynchronous = [function for function in functions if is_async(function)]
    return [function for function in functions if function not in asynchronous], asynchronous


def _frame_headers(route: str) -> FrameHeaders:
    from sessiontrace.model.record import END, EVENT, START, UPDATE
    from sessiontrace.spool.frame import head

    return FrameHeaders(*(head(kind, route.encode()) for kind in (START, EVENT, END, UPDATE)))


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


def _empty_report() -> Report:
    from sessiontrace.report import Report, Stats

    return Report(True, 0.0, Stats())


async def _in_thread(call: Callable[[], Report]) -> Report:
    """A blocking call without blocking the caller's loop, on asyncio and on trio."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
