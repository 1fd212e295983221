"""Every producer's spans in the names of the conventions: the one place that decides precedence.

Pure functions, no thread owns them. What a span says in OTel's GenAI names wins, then its GenAI
events, then the producers below in their order. Invariant: an attribute that has no conventional
name keeps its own, and no value of an attribute raises.
"""

from __future__ import annotations

from sessiontrace.wire.dialects.agent_runtimes import GENKIT, LIVEKIT, MASTRA, PIPECAT
from sessiontrace.wire.dialects.autogen import AUTOGEN
from sessiontrace.wire.dialects.calls import settle
from sessiontrace.wire.dialects.coding_agents import CODING_AGENT, is_coding_agent
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.dialects.frameworks import (
    CREWAI,
    HAYSTACK,
    MISTRAL,
    OPENLIT,
    SEMANTIC_KERNEL,
    STRANDS,
)
from sessiontrace.wire.dialects.google_adk import GOOGLE_ADK
from sessiontrace.wire.dialects.langfuse import LANGFUSE
from sessiontrace.wire.dialects.langsmith import LANGSMITH
from sessiontrace.wire.dialects.logfire import LOGFIRE
from sessiontrace.wire.dialects.mlflow import MLFLOW
from sessiontrace.wire.dialects.openinference import OPENINFERENCE
from sessiontrace.wire.dialects.platforms.braintrust import BRAINTRUST
from sessiontrace.wire.dialects.platforms.confident import CONFIDENT
from sessiontrace.wire.dialects.platforms.tables import (
    AGENTOPS,
    FUTURE_AGI,
    LAMINAR,
    LANGWATCH,
    VOLTAGENT,
)
from sessiontrace.wire.dialects.span_events import translate_events
from sessiontrace.wire.dialects.traceloop import LITELLM, TRACELOOP
from sessiontrace.wire.dialects.vercel_ai import VERCEL_AI
from sessiontrace.wire.received_span import ReceivedSpan

__all__ = ["conventional"]

_DIALECTS = (
    CREWAI,
    LITELLM,
    TRACELOOP,
    OPENINFERENCE,
    LANGFUSE,
    MLFLOW,
    LANGSMITH,
    VERCEL_AI,
    LOGFIRE,
    GOOGLE_ADK,
    HAYSTACK,
    GENKIT,
    LIVEKIT,
    MASTRA,
    PIPECAT,
    BRAINTRUST,
    CONFIDENT,
    LANGWATCH,
    AGENTOPS,
    LAMINAR,
)
"""The producers, each recognised by the heads of its attributes' names."""

_HEADS = frozenset(head for dialect in _DIALECTS for head in dialect.heads)
_OPENLLMETRY = ("gen_ai.is_streaming", "gen_ai.response.finish_reason")
"""Names of OpenLLMetry's, which its newest spans have beside the conventions' alone."""
_OURS = "sessiontrace.event.type"
_MOST_CHARS = 2048  # of the scope and all names of a span whose producers are remembered
_MOST = 256
_remembered: dict[tuple[str, tuple[str, ...]], tuple[Dialect, ...]] = {}


def conventional(span: ReceivedSpan) -> ReceivedSpan:
    """The span with its attributes, and the messages in its events, in conventional names.

    The span is changed in place and returned. A span that our own exporter wrote stays as it is.
    """
    dialects = _dialects(span)
    if not dialects and not _has_messages(span):
        return span
    if _OURS in span.attributes:
        return span
    draft = Draft(span)
    if span.events:
        translate_events(draft)
    for dialect in dialects:
        dialect.translate(draft)
    settle(draft)
    span.attributes = draft.attributes
    return span


def _dialects(span: ReceivedSpan) -> tuple[Dialect, ...]:
    """The producers of a span, those by scope before those by names."""
    scope, names = span.scope, tuple(span.attributes)
    dialects = _remembered.get((scope, names))
    if dialects is None:
        dialects = _of_scope(scope, names) + _of_names(names)
        # Of few spans each field of each message is an attribute.
        if len(scope) + len("".join(names)) <= _MOST_CHARS:
            if len(_remembered) >= _MOST:
                _remembered.clear()
            _remembered[scope, names] = dialects
    if is_coding_agent(scope, span.name):
        return (CODING_AGENT, *_of_names(names))
    return dialects


def is_conventional(scope: str, names: tuple[str, ...]) -> bool:
    """Whether a span of this scope, with attributes of these names, may stay as it is.

    It may not where its name is a coding agent's, or where it has events.
    """
    is_ours = _OURS in names
    return is_ours or not (_of_scope(scope, names) or _of_names(names))


def _of_names(names: tuple[str, ...]) -> tuple[Dialect, ...]:
    """The producers whose attributes have names among these, in their order."""
    heads = {name.partition(".")[0] for name in names}
    if _HEADS.isdisjoint(heads):
        return ()
    return tuple(dialect for dialect in _DIALECTS if not dialect.heads.isdisjoint(heads))


def _of_scope(scope: str, names: tuple[str, ...]) -> tuple[Dialect, ...]:
    """The producers whose attributes' names have no head of their own, by scope or by a sign."""
    if scope.startswith("opentelemetry.instrumentation.") and any(
        name in names for name in _OPENLLMETRY
    ):
        return (TRACELOOP,)
    if scope.startswith("traceai"):
        return (FUTURE_AGI,)
    if scope.startswith("@voltagent"):
        return (VOLTAGENT,)
    if scope.startswith("autogen"):
        return (AUTOGEN,)
    if scope.startswith(("openlit", "@openlit")):
        return (OPENLIT,)
    if scope == "mistralai_sdk_tracer":
        return (MISTRAL,)
    if scope.startswith("strands.") or "gen_ai.event.start_time" in names:
        return (STRANDS,)
    return (SEMANTIC_KERNEL,) if "gen_ai.response.finish_reason" in names else ()


def _has_messages(span: ReceivedSpan) -> bool:
    return bool(span.events) and any(name.startswith("gen_ai.") for name, _ in span.events)
