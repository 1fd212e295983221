"""The module-level functions: the methods of one default tracer.

Any user thread calls them; the methods are documented where they are defined, in ``tracer.py`` and
``capture/api_methods.py``; ``api_signatures.py`` repeats them for static tools. ``__all__`` is the
one list of these functions: ``sessiontrace`` re-exports exactly these names. Invariant: importing
this module starts nothing and reads no environment; the first ``init``, session or span does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sessiontrace.tracer import Tracer

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


class RunInSession:
    """A picklable call for a process pool: runs ``fn`` inside the span it was submitted in.

    ``headers`` name that span. The worker process has no other tracer to look up than the default
    tracer, so no other tracer's spans travel there.
    """

    def __init__(self, fn: Callable[..., Any], headers: dict[str, str]) -> None:
        self.fn = fn
        self.headers = headers

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with default_tracer.carried(self.headers):
            return self.fn(*args, **kwargs)


def _run_in_session(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn`` as a process pool should get it: within the current span, when there is one."""
    headers = default_tracer.carry()
    return RunInSession(fn, headers) if headers else fn


class DefaultTracer(Tracer):
    """The tracer behind the module-level functions; a pickle refers to the one of its process."""

    def __reduce__(self) -> str:
        return "default_tracer"


default_tracer: DefaultTracer = DefaultTracer.unconfigured(_run_in_session)
"""Configures itself from the environment when it is first used."""

if TYPE_CHECKING:  # static tools read signatures and documentation from functions
    from sessiontrace.api_signatures import aflush as aflush
    from sessiontrace.api_signatures import agent as agent
    from sessiontrace.api_signatures import asgi as asgi
    from sessiontrace.api_signatures import ashutdown as ashutdown
    from sessiontrace.api_signatures import aws_lambda as aws_lambda
    from sessiontrace.api_signatures import chain as chain
    from sessiontrace.api_signatures import current_session as current_session
    from sessiontrace.api_signatures import current_span as current_span
    from sessiontrace.api_signatures import embedding as embedding
    from sessiontrace.api_signatures import evaluator as evaluator
    from sessiontrace.api_signatures import extract as extract
    from sessiontrace.api_signatures import flush as flush
    from sessiontrace.api_signatures import grpc as grpc
    from sessiontrace.api_signatures import guardrail as guardrail
    from sessiontrace.api_signatures import init as init
    from sessiontrace.api_signatures import inject as inject
    from sessiontrace.api_signatures import instrument as instrument
    from sessiontrace.api_signatures import model as model
    from sessiontrace.api_signatures import retriever as retriever
    from sessiontrace.api_signatures import score as score
    from sessiontrace.api_signatures import session as session
    from sessiontrace.api_signatures import shutdown as shutdown
    from sessiontrace.api_signatures import span as span
    from sessiontrace.api_signatures import start_span as start_span
    from sessiontrace.api_signatures import stats as stats
    from sessiontrace.api_signatures import stream as stream
    from sessiontrace.api_signatures import suppress as suppress
    from sessiontrace.api_signatures import tool as tool
    from sessiontrace.api_signatures import trace as trace
    from sessiontrace.api_signatures import uninstrument as uninstrument
    from sessiontrace.api_signatures import update as update
    from sessiontrace.api_signatures import wsgi as wsgi
else:
    aflush = default_tracer.aflush
    agent = default_tracer.agent
    asgi = default_tracer.asgi
    ashutdown = default_tracer.ashutdown
    aws_lambda = default_tracer.aws_lambda
    chain = default_tracer.chain
    current_session = default_tracer.current_session
    current_span = default_tracer.current_span
    embedding = default_tracer.embedding
    evaluator = default_tracer.evaluator
    extract = default_tracer.extract
    flush = default_tracer.flush
    grpc = default_tracer.grpc
    guardrail = default_tracer.guardrail
    init = default_tracer.init
    inject = default_tracer.inject
    instrument = default_tracer.instrument
    model = default_tracer.model
    retriever = default_tracer.retriever
    score = default_tracer.score
    session = default_tracer.session
    shutdown = default_tracer.shutdown
    span = default_tracer.span
    start_span = default_tracer.start_span
    stats = default_tracer.stats
    stream = default_tracer.stream
    suppress = default_tracer.suppress
    tool = default_tracer.tool
    trace = default_tracer.trace
    uninstrument = default_tracer.uninstrument
    update = default_tracer.update
    wsgi = default_tracer.wsgi
