"""Tracer: the API's methods over one configuration at a time; any user thread calls them.

Invariant: once a configuration is accepted no method raises, whatever its arguments.
"""

from __future__ import annotations

import functools
import os
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sessiontrace.capture.api_methods import Tracing
from sessiontrace.capture.handle import Handle
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.later_types import SELF, later
from sessiontrace.runtime import log
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signals import raise_if_from_signal

if TYPE_CHECKING:
    from typing_extensions import Self

    from sessiontrace.capture.tracer_state import TracerState
    from sessiontrace.config_memo import ConfigMemo, Configuration
    from sessiontrace.generation import Generation
    from sessiontrace.instrumentation.registry import InstrumentReport
    from sessiontrace.model.destination import Destination
    from sessiontrace.model.sampling import Sample
    from sessiontrace.report import Report, Stats
else:
    Self = SELF
    TracerState = later("sessiontrace.capture.tracer_state", "TracerState")
    Generation = later("sessiontrace.generation", "Generation")
    InstrumentReport = later("sessiontrace.instrumentation.registry", "InstrumentReport")
    Destination = later("sessiontrace.model.destination", "Destination")
    Sample = later("sessiontrace.model.sampling", "Sample")
    Report = later("sessiontrace.report", "Report")
    Stats = later("sessiontrace.report", "Stats")

__all__ = ["Tracer"]

ProcessCallWrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

_LAST_S = 0.1  # at least, for what is reported while the interpreter exits
_FORMER_MAX = 8  # replaced generations to take up again when their configuration comes back
_pickled: weakref.WeakValueDictionary[str, Tracer] = weakref.WeakValueDictionary()


def _tracer_of(token: str) -> Tracer:
    """The tracer that a pickle refers to; in another process one that records nothing."""
    tracer = _pickled.get(token)
    if tracer is None:
        log.log_once(
            "pickle:tracer",
            "a function that an st.Tracer of its own traces runs untraced in this process, because "
            "keys are not pickled; decorate it with the module-level functions, or trace it here",
        )
        tracer = Tracer.unconfigured()
        tracer.off = True
    return tracer


F = TypeVar("F", bound=Callable[..., Any])


class Tracer(Tracing):
    """An independent tracer: its own destinations, spool and current span.

    Takes what ``sessiontrace.init`` takes and raises ``ConfigError`` likewise. Most programs need
    none: the module-level functions of ``sessiontrace`` work on a default one.
    """

    def __init__(self, *targets: str | Destination, **options: Any) -> None:
        self._prepare()
        self.configure(targets, options)

    @classmethod
    def unconfigured(cls, wrap_process_call: ProcessCallWrapper | None = None) -> Self:
        """A tracer that configures itself from the environment when it is first used.

        ``wrap_process_call``: turns a function submitted to a process pool into a picklable one
        that runs in the current span there; None when spans stay in this process.
        """
        tracer = cls.__new__(cls)
        tracer._prepare(wrap_process_call)
        return tracer

    def _prepare(self, wrap_process_call: ProcessCallWrapper | None = None) -> None:
        self.off: bool = False
        self._wrap_process_call = wrap_process_call
        self.recorder: TracerState | None = None
        self.exit_timeout: float = 2.0
        self._memo: ConfigMemo | None = None
        self._configured: Configuration | None = None
        self._installed = False
        self._generation: Generation | None = None
        self._former: list[Generation] = []  # replaced, oldest first
        self._past: Stats | None = None  # the counts of those that are gone
        self._current: ContextVar[Handle | None] = ContextVar("sessiontrace.current", default=None)
        self._lock = ReentrantLock()
        self._pid = os.getpid()
        self._token: str | None = None
        self._holders: weakref.WeakSet[Any] = weakref.WeakSet()  # see `keep_open`
        self._exit_deadline: float | None = None

    def __reduce__(self) -> str | tuple[Any, ...]:
        """A pickle only refers to the tracer: no key and no destination travels in it."""
        if self._token is None:
            import uuid  # here: imports platform, and few programs pickle a tracer

            self._token = uuid.uuid4().hex
            _pickled[self._token] = self
        return _tracer_of, (self._token,)

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
        prices: bool | Mapping[str, Mapping[str, float]] | str | os.PathLike[str] | None = None,
        threads: bool | None = None,
        trust: str | None = None,
        propagators: str | Sequence[str] | None = None,
        otel_context: bool | None = None,
        media: str | None = None,
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
        to 1, or a ``Sample`` that also keeps what failed, was slow or scored low. ``prices``: your
        own prices by model, ``{"my-model": {"input": 3.0, "output": 15.0}}`` in US dollars for a
        million tokens, or the path of a JSON file with them; False computes no cost. ``threads``:
        False leaves threads and executors without the span they were started in. ``trust``: what
        ``asgi`` and ``extract`` take from headers: "trace" (default), "none" or "all".
        ``propagators``: which headers ``inject`` writes and ``extract`` reads, "tracecontext" and
        "baggage" (default both), or "none".
        ``otel_context``: False keeps the current span from OpenTelemetry, and OpenTelemetry's from
        us; else spans of either are parents of the other's. ``media``: "keep" (default) stores
        images, sounds and files beside a local store, "digest" only their type, size and SHA-256.

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
                "prices": prices,
                "threads": threads,
                "trust": trust,
                "propagators": propagators,
                "otel_context": otel_context,
                "media": media,
            },
        )

    def configure(self, targets: tuple[str | Destination, ...], options: Mapping[str, Any]) -> None:
        """Take a configuration; nothing happens when it is the one in force.

        Handles that are open end where they began: the earlier pipeline goes on in the background
        until they have, and until it has delivered. Raises ``ConfigError`` with every fault found;
        then the earlier configuration stays in force.
        """
        with self._lock:
            if self._memo is None:
                from sessiontrace.config_memo import ConfigMemo

                self._memo = ConfigMemo()
            configuration = self._memo.resolve(targets, options)
            if self._is_in_force(configuration):
                return
            self._configured = configuration
            self._installed = False  # until all is done: a signal may interrupt it
            self._install()
            self._installed = True

    def _is_in_force(self, configuration: Configuration) -> bool:
        from sessiontrace.config_memo import same_configuration

        if self._configured is None or not same_configuration(self._configured, configuration):
            return False
        if not self._installed:
            return False
        return self.off or (self._generation is not None and not self._generation.is_shut)

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
                    raise_if_from_signal(error)
                    self.off = True
                    log.log_once("config", "sessiontrace cannot start (%s)", type(error).__name__)
            return self.recorder

    def _install(self) -> None:
        """The generation of the configuration in force, and the process as it asks for."""
        from sessiontrace.capture.context import executors, gc_guard
        from sessiontrace.instrumentation import otel_context
        from sessiontrace.runtime import process_hooks

        assert self._configured is not None
        _, options = self._configured
        self._pid = os.getpid()
        self.exit_timeout = options.exit_timeout
        generation = self._replace_generation(self._configured) if options.enabled else None
        if generation is None:
            self._retire_current()
        self.recorder = None if generation is None else generation.recorder
        self.off = not options.enabled
        if generation is None:
            return
        if options.on_sigterm == "flush":
            process_hooks.flush_on_sigterm()
        if self._holders:
            generation.start()
        gc_guard.guard(self)
        if options.otel_context:
            otel_context.join(self, self._current)
        else:
            otel_context.leave(self._current)
        if options.threads:
            executors.carry(self._current)
            if self._wrap_process_call is not None:
                executors.carry_into_processes(self._wrap_process_call)
        else:
            executors.release(self._current)

    def _replace_generation(self, configuration: Configuration) -> Generation:
        """The generation of this configuration: an earlier one that is still there, or a new."""
        from sessiontrace.config_memo import same_configuration
        from sessiontrace.generation import Generation

        if self._generation is not None and self._generation.is_shut:
            self._past = None  # `shutdown` has reported all so far
            self._former.clear()
        earlier = [g for g in (*self._former, self._generation) if g is not None]
        for generation in reversed(earlier):
            if same_configuration(generation.configuration, configuration):
                break
        else:
            generation = Generation(configuration, self, self._current)
        if generation is not self._generation:
            self._retire_current()
        if generation in self._former:
            self._former.remove(generation)
        generation.revive()
        self._generation = generation
        return generation

    def _retire_current(self) -> None:
        """Have the generation in force go on in the background for what it still owes."""
        generation, self._generation = self._generation, None
        if generation is None:
            return
        self._former.append(generation)
        generation.release()
        gone = [former for former in self._former if former.is_gone]
        for former in gone[:-_FORMER_MAX]:
            self._former.remove(former)
            self._keep_counts(former)

    def _keep_counts(self, generation: Generation) -> None:
        """Keep the counts of a generation that goes."""
        from sessiontrace.report import total

        stats = generation.stats()
        self._past = stats if self._past is None else total([self._past, stats])

    # -- delivery ---------------------------------------------------------------------------

    def flush(self, timeout: float = 5.0) -> Report:
        """Send everything recorded before this call; block for at most ``timeout`` seconds.

        The report is true when every destination has settled all of it.
        """
        return self._for_each_generation(lambda generation, left: generation.flush(left), timeout)

    def _for_each_generation(
        self, call: Callable[[Generation, float], Report], timeout: float
    ) -> Report:
        """One report about all generations, the one in force first, within ``timeout`` seconds."""
        from sessiontrace import retirement
        from sessiontrace.report import Report

        begun = time.monotonic()
        retirement.retry()
        complete = True
        for generation in self._generations():
            left = max(0.0, timeout - (time.monotonic() - begun))
            complete = call(generation, left).complete and complete
        return Report(complete, time.monotonic() - begun, self.stats())

    def _generations(self) -> list[Generation]:
        with self._lock:
            current = [] if self._generation is None else [self._generation]
            return [*current, *reversed(self._former)]

    async def aflush(self, timeout: float = 5.0) -> Report:
        """``flush`` without blocking the event loop (asyncio or trio)."""
        return await _in_thread(functools.partial(self.flush, timeout))

    def shutdown(self, timeout: float | None = None) -> Report:
        """Flush and stop, within ``timeout`` seconds (default ``exit_timeout``).

        Happens by itself at exit. What is left stays in the spool for the next run. Spans after it
        are counted as dropped ("closed") until the next ``init``.
        """
        timeout = self.exit_timeout if timeout is None else timeout
        return self._for_each_generation(lambda generation, left: generation.close(left), timeout)

    async def ashutdown(self, timeout: float | None = None) -> Report:
        """``shutdown`` without blocking the event loop (asyncio or trio)."""
        return await _in_thread(functools.partial(self.shutdown, timeout))

    def stats(self) -> Stats:
        """Delivery counts: records accepted, dropped by reason, and settled at each destination."""
        from sessiontrace.report import Stats, total

        earlier = [] if self._past is None else [self._past]
        parts = [*earlier, *(generation.stats() for generation in reversed(self._generations()))]
        return total(parts, sum(part.waiting for part in parts)) if parts else Stats()

    # -- other libraries --------------------------------------------------------------------

    def instrument(
        self, *names: str, block: Collection[str] = (), logprobs: bool | None = None
    ) -> InstrumentReport:
        """Record the calls that other libraries make: model calls become model events.

        ``names``: the libraries ("openai", "anthropic", ...), default all that are known;
        ``block``: those to leave alone. ``logprobs``: record the log probabilities of answers that
        have them; default as before, at first ``SESSIONTRACE_LOGPROBS``, else False. May be called
        before or after the libraries are imported, and again. The report lists what is active,
        waiting for its import, absent or failed, and why. Nothing is raised.
        """
        from sessiontrace.instrumentation.registry import instruments

        return instruments(self).add(names, block, logprobs=logprobs)

    def uninstrument(self) -> None:
        """Undo ``instrument``: the libraries are as they were."""
        from sessiontrace.instrumentation.registry import instruments

        instruments(self).remove()

    def asgi(self, app: Any, *, ignore: Collection[str] = (), trust: str | None = None) -> Any:
        """An ASGI application with a session around each request: ``app = st.asgi(app)``.

        The session is named like the route and has the method, path and status. It stays open for
        streamed bodies and background tasks. ``ignore``: paths without a session, such as health
        checks. ``trust``: "trace" goes on with the trace that the headers name, "none" with nothing
        of theirs; "all", for callers of your own, also takes their session (``x-session-id``, which
        makes the request a turn of that conversation), user, destinations and sampling. Default:
        as ``init`` says. For Starlette and FastAPI also ``app.add_middleware(st.asgi)``.
        """
        from sessiontrace.instrumentation.web.asgi import Asgi

        return Asgi(app, self, ignore=ignore, trust=trust)

    def wsgi(self, app: Any, *, ignore: Collection[str] = (), trust: str | None = None) -> Any:
        """A WSGI application with a session around each request: ``app.wsgi_app = st.wsgi(...)``.

        The session stays open while the body is streamed. ``ignore``, ``trust``: as of ``asgi``.
        """
        from sessiontrace.instrumentation.web.wsgi import Wsgi

        return Wsgi(app, self, ignore=ignore, trust=trust)

    def grpc(self, *, ignore: Collection[str] = (), trust: str | None = None) -> Any:
        """An interceptor of gRPC servers: ``grpc.server(pool, interceptors=[st.grpc()])``.

        A session is around each call, and stays open while responses are streamed; for servers
        of ``grpc.aio``, too. ``ignore``: methods without a session, such as
        ``/grpc.health.v1.Health/Check``. ``trust``: as of ``asgi``, for the metadata of a call.
        ImportError where grpcio is not installed.
        """
        from sessiontrace.instrumentation.web.grpc_server import grpc_interceptor

        return grpc_interceptor(self, ignore=ignore, trust=trust)

    @overload
    def aws_lambda(self, handler: F, /) -> F: ...
    @overload
    def aws_lambda(self, /, *, flush_timeout: float = 2.0) -> Callable[[F], F]: ...
    def aws_lambda(self, handler: Any = None, /, *, flush_timeout: float = 2.0) -> Any:
        """Decorate a handler of AWS Lambda: each invocation is a session, delivered within it.

        The session has the event as inputs and the answer as outputs. Trace headers of an HTTP
        event count as in ``asgi``. ``flush_timeout``: seconds that delivery may take, at most until
        half a second before the function's deadline.
        """
        from sessiontrace.instrumentation.web.aws_lambda import traced_handler

        def decorate(handler: Any) -> Any:
            return traced_handler(handler, self, self.flush, flush_timeout)

        return decorate if handler is None else decorate(handler)

    # -- life cycle -------------------------------------------------------------------------

    def keep_open(self, holder: object) -> None:
        """Stay open at exit until ``let_close``: ``holder`` reports records after our exit hook.

        OTel's provider, which passes its last spans to an exporter, registered its hook before ours
        as a rule, so that it runs later. The threads start now: at exit, Python starts none.
        """
        self._holders.add(holder)
        if self._generation is not None:
            self._generation.start()

    def let_close(self, holder: object) -> None:
        """End ``keep_open``; at exit, close once nothing keeps the tracer open."""
        self._holders.discard(holder)
        if self._exit_deadline is not None and not self._holders:
            self.at_exit(max(_LAST_S, self._exit_deadline - time.monotonic()))

    def at_exit(self, timeout: float) -> None:
        """Called when the interpreter exits, and by what was reported after that."""
        if self._holders:
            self._exit_deadline = time.monotonic() + timeout
            self.flush(timeout / 2)
            return
        report = self.shutdown(timeout)
        undelivered = {
            name: delivery
            for name, delivery in report.stats.destinations.items()
            if delivery.pending
        }
        place = "were in memory only and are lost"
        if report.stats.spool:
            place = (
                f"stay in {report.stats.spool}; `sessiontrace spool flush` sends them, as does "
                "the next run with this destination"
            )
        for name, delivery in undelivered.items():
            log.log_once(
                f"exit:{name}",
                "%d records are not delivered to %s yet (%s); they %s",
                delivery.pending,
                name,
                delivery.last_error or "no time was left",
                place,
            )

    def after_fork(self) -> None:
        """Called in a forked child: open handles stay with the parent, everything else restarts."""
        self._lock = ReentrantLock()
        generation = self._generation
        if self._pid == os.getpid() or self._configured is None:
            return
        for left in self._generations():
            left.abandon()
        self._generation, self._former, self._past = None, [], None
        if generation is not None:
            self._install()

    def append_after_fork(self, generation: Generation, head: bytes, body: bytes) -> bool:
        """Take a record that the parent's spool refused, in a child whose fork ran no Python hook.

        A handle opened in the child goes on. A handle that was open at the fork looks the same, so
        it ends twice, with the same id.
        """
        is_current = generation is self._generation
        recorder = self.recorder
        self.after_fork()
        if self._generation is None or not is_current:
            return False
        if recorder is not None and self.recorder is not None:
            recorder.offer, recorder.drop = self.recorder.offer, self.recorder.drop
            recorder.inert = False
        return self._generation.append(head, body)


async def _in_thread(call: Callable[[], Report]) -> Report:
    """A blocking call without blocking the caller's loop, on asyncio and on trio."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
