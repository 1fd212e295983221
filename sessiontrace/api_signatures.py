"""What static tools see of the functions of ``sessiontrace.api``; no program imports it.

``tools/api_signatures.py`` writes it from the methods of ``Tracer``.
"""

from __future__ import annotations

import os
from collections.abc import (
    AsyncIterable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Any, TypeVar, overload

from sessiontrace.capture.handle import UNSET
from sessiontrace.capture.non_recording import SuppressedScope
from sessiontrace.capture.session import Session
from sessiontrace.capture.span import Span
from sessiontrace.capture.streams.stream import AsyncStream, Stream
from sessiontrace.capture.streams.stream_span import Reduce
from sessiontrace.instrumentation.registry import InstrumentReport
from sessiontrace.model.destination import Destination
from sessiontrace.model.sampling import Sample
from sessiontrace.report import Report, Stats

__all__ = [
    "aflush",
    "agent",
    "asgi",
    "ashutdown",
    "aws_lambda",
    "chain",
    "current_session",
    "current_span",
    "embedding",
    "evaluator",
    "extract",
    "flush",
    "grpc",
    "guardrail",
    "init",
    "inject",
    "instrument",
    "model",
    "retriever",
    "score",
    "session",
    "shutdown",
    "span",
    "start_span",
    "stats",
    "stream",
    "suppress",
    "tool",
    "trace",
    "uninstrument",
    "update",
    "wsgi",
]
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
H = TypeVar("H", bound=MutableMapping[str, str])


async def aflush(timeout: float = 5.0) -> Report:
    """``flush`` without blocking the event loop (asyncio or trio)."""
    raise NotImplementedError


@overload
def agent(fn: F, /) -> F: ...
@overload
def agent(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def agent(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="agent")``: the function is an agent: it decides what to do."""
    raise NotImplementedError


def asgi(app: Any, *, ignore: Collection[str] = (), trust: str | None = None) -> Any:
    """An ASGI application with a session around each request: ``app = st.asgi(app)``.

    The session is named like the route and has the method, path and status. It stays open for
    streamed bodies and background tasks. ``ignore``: paths without a session, such as health
    checks. ``trust``: "trace" goes on with the trace that the headers name, "none" with nothing
    of theirs; "all", for callers of your own, also takes their session (``x-session-id``, which
    makes the request a turn of that conversation), user, destinations and sampling. Default:
    as ``init`` says. For Starlette and FastAPI also ``app.add_middleware(st.asgi)``.
    """
    raise NotImplementedError


async def ashutdown(timeout: float | None = None) -> Report:
    """``shutdown`` without blocking the event loop (asyncio or trio)."""
    raise NotImplementedError


@overload
def aws_lambda(handler: F, /) -> F: ...
@overload
def aws_lambda(*, flush_timeout: float = 2.0) -> Callable[[F], F]: ...
def aws_lambda(handler: Any = None, /, *, flush_timeout: float = 2.0) -> Any:
    """Decorate a handler of AWS Lambda: each invocation is a session, delivered within it.

    The session has the event as inputs and the answer as outputs. Trace headers of an HTTP
    event count as in ``asgi``. ``flush_timeout``: seconds that delivery may take, at most until
    half a second before the function's deadline.
    """
    raise NotImplementedError


@overload
def chain(fn: F, /) -> F: ...
@overload
def chain(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def chain(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="chain")``, with or without its other arguments."""
    raise NotImplementedError


def current_session() -> Session:
    """The session that is open here; a no-op, falsy object where there is none."""
    raise NotImplementedError


def current_span() -> Span:
    """The innermost open span (or session) here; a no-op, falsy object where there is none."""
    raise NotImplementedError


@overload
def embedding(fn: F, /) -> F: ...
@overload
def embedding(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def embedding(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="embedding")``: the function calls a model for vectors."""
    raise NotImplementedError


@overload
def evaluator(fn: F, /) -> F: ...
@overload
def evaluator(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def evaluator(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="evaluator")``: the function judges an answer."""
    raise NotImplementedError


def extract(headers: object, name: str = "remote", *, trust: str | None = None) -> Session:
    """The span in ``headers``, to run under: ``with extract(request.headers):``.

    ``headers``: a mapping, or pairs of texts or bytes. From another sessiontrace process that
    very span is the parent. From other tracers' headers it is a turn named ``name`` of the
    session that the trace id identifies. ``trust``: "trace" takes the ids of trace and span,
    "none" nothing; "all", for senders of your own, also the session's and user's ids and the
    destinations in the baggage, and whether the sender records. Default: as ``init`` says. A
    no-op where the headers name no span.
    """
    raise NotImplementedError


def flush(timeout: float = 5.0) -> Report:
    """Send everything recorded before this call; block for at most ``timeout`` seconds.

    The report is true when every destination has settled all of it.
    """
    raise NotImplementedError


def grpc(*, ignore: Collection[str] = (), trust: str | None = None) -> Any:
    """An interceptor of gRPC servers: ``grpc.server(pool, interceptors=[st.grpc()])``.

    A session is around each call, and stays open while responses are streamed; for servers
    of ``grpc.aio``, too. ``ignore``: methods without a session, such as
    ``/grpc.health.v1.Health/Check``. ``trust``: as of ``asgi``, for the metadata of a call.
    ImportError where grpcio is not installed.
    """
    raise NotImplementedError


@overload
def guardrail(fn: F, /) -> F: ...
@overload
def guardrail(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def guardrail(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="guardrail")``: the function checks an input or an answer."""
    raise NotImplementedError


def init(
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
    raise NotImplementedError


def inject(headers: H) -> H:
    """Write the current span into HTTP headers (traceparent, tracestate, baggage).

    Returns the headers, with what other tracers wrote. Without a span nothing is written.
    """
    raise NotImplementedError


def instrument(
    *names: str, block: Collection[str] = (), logprobs: bool | None = None
) -> InstrumentReport:
    """Record the calls that other libraries make: model calls become model events.

    ``names``: the libraries ("openai", "anthropic", ...), default all that are known;
    ``block``: those to leave alone. ``logprobs``: record the log probabilities of answers that
    have them; default as before, at first ``SESSIONTRACE_LOGPROBS``, else False. May be called
    before or after the libraries are imported, and again. The report lists what is active,
    waiting for its import, absent or failed, and why. Nothing is raised.
    """
    raise NotImplementedError


@overload
def model(fn: F, /) -> F: ...
@overload
def model(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def model(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="model")``: the function calls a model."""
    raise NotImplementedError


@overload
def retriever(fn: F, /) -> F: ...
@overload
def retriever(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def retriever(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="retriever")``: the function looks for documents."""
    raise NotImplementedError


def score(
    name: str,
    value: float | bool | str,
    *,
    comment: str | None = None,
    session_id: str | None = None,
    event_id: str | None = None,
) -> None:
    """Score a session (default the current one) or an event of it, now or long after its end.

    Numbers and booleans become ``metrics[name]``, texts ``feedback[name]``; ``comment`` becomes
    ``feedback[name_comment]``. ``session_id``: the UUID of a session, or your own id of
    it; the session may have run in another process. ``event_id``: of an event of that session.
    """
    raise NotImplementedError


def session(
    name: str = "session",
    *,
    session_id: str | None = None,
    user: str | None = None,
    inputs: object = None,
    config: Mapping[str, object] | None = None,
    metadata: Mapping[str, object] | None = None,
    user_properties: Mapping[str, object] | None = None,
    source: str | None = None,
    tags: Sequence[str] = (),
    to: str | Sequence[str] | None = None,
    sample: float | None = None,
) -> Session:
    """A session: ``async with session("chat") as s:``, ``with`` likewise, or a decorator.

    ``session_id``: your own id (any text) makes it a conversation: each opening becomes a turn
    of the one session with that id, here and in other processes. ``user``: who it is for,
    becomes ``user_properties.user_id``. ``source``: default the environment, else the service.
    ``tags`` become ``metadata.tags``. ``to``: names of the destinations it goes to, default
    all; a session for unknown ones only is dropped and counted. ``sample``: the share of such
    sessions to record, from 0 to 1, in place of the rate of ``init``.
    """
    raise NotImplementedError


def shutdown(timeout: float | None = None) -> Report:
    """Flush and stop, within ``timeout`` seconds (default ``exit_timeout``).

    Happens by itself at exit. What is left stays in the spool for the next run. Spans after it
    are counted as dropped ("closed") until the next ``init``.
    """
    raise NotImplementedError


def span(
    name: str,
    *,
    type: str = "chain",
    inputs: object = None,
    config: Mapping[str, object] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Span:
    """A step: ``with span("retrieve", type="tool", inputs={...}) as s:``, or ``async with``.

    ``type``: "chain", "model", "tool", "agent", "retriever", "embedding", "guardrail" or
    "evaluator". Inputs are encoded at once: later changes to them do not show. A span outside
    any session opens a session named like it, and ends it with itself.
    """
    raise NotImplementedError


def start_span(
    name: str,
    *,
    parent: Span | None = None,
    type: str = "chain",
    inputs: object = None,
    config: Mapping[str, object] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Span:
    """A span that is open at once and never current: end it with ``end()``, in any thread.

    ``parent``: a span, a session or the handle of ``extract``; default the current one.
    """
    raise NotImplementedError


def stats() -> Stats:
    """Delivery counts: records accepted, dropped by reason, and settled at each destination."""
    raise NotImplementedError


@overload
def stream(
    iterable: AsyncIterable[T], *, name: str | None = None, reduce: Reduce | None = None
) -> AsyncStream[T]: ...
@overload
def stream(
    iterable: Iterable[T], *, name: str | None = None, reduce: Reduce | None = None
) -> Stream[T]: ...
def stream(iterable: Any, *, name: str | None = None, reduce: Reduce | None = None) -> Any:
    """Watch an (async) iterator: ``async for chunk in stream(response):``.

    The current span gets ``metrics`` (time_to_first_chunk_ms since it began, chunks,
    largest_gap_ms) and, unless it has outputs, what the chunks add up to; also when it has
    ended meanwhile. ``name``: a model span of its own instead. ``reduce``: from the list of all
    chunks to the outputs; by default texts and the deltas of OpenAI and Anthropic are joined.
    """
    raise NotImplementedError


def suppress() -> SuppressedScope:
    """``with suppress():`` (or ``async with``, or a decorator): nothing inside is recorded."""
    raise NotImplementedError


@overload
def tool(fn: F, /) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def tool(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """``trace(type="tool")``: the function is a tool, or calls something outside."""
    raise NotImplementedError


@overload
def trace(fn: F, /) -> F: ...
@overload
def trace(
    *,
    name: str | None = None,
    type: str = "chain",
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Callable[[F], F]: ...
def trace(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    type: str = "chain",
    capture: bool | str = True,
    ignore: Collection[str] = (),
    reduce: Reduce | None = None,
) -> Any:
    """Decorate a function: each call becomes a span with its arguments and its result.

    Works on sync and async functions, generators, async generators, methods, static and class
    methods, partials and callable objects, and on a class (its public methods). The function
    keeps its kind and signature. The span of a generator lasts until the generator is exhausted
    or closed, and has the time to the first chunk; likewise for a function that returns one.

    ``name``: default the function's qualified name. ``type``: as of ``span``.
    ``capture``: False records neither arguments nor result, "inputs" or "outputs" only these.
    ``ignore``: names of arguments to leave out. ``reduce``: makes the outputs from the list of
    all chunks; by default texts and the deltas of OpenAI and Anthropic are joined.
    """
    raise NotImplementedError


def uninstrument() -> None:
    """Undo ``instrument``: the libraries are as they were."""
    raise NotImplementedError


def update(
    *,
    inputs: object = None,
    outputs: object = UNSET,
    config: Mapping[str, object] | None = None,
    metadata: Mapping[str, object] | None = None,
    metrics: Mapping[str, object] | None = None,
    feedback: Mapping[str, object] | None = None,
    error: str | BaseException | None = None,
) -> None:
    """``current_span().set(...)``."""
    raise NotImplementedError


def wsgi(app: Any, *, ignore: Collection[str] = (), trust: str | None = None) -> Any:
    """A WSGI application with a session around each request: ``app.wsgi_app = st.wsgi(...)``.

    The session stays open while the body is streamed. ``ignore``, ``trust``: as of ``asgi``.
    """
    raise NotImplementedError
