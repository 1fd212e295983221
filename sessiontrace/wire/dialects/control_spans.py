"""Spans beside those of the work: of what carries messages, a program's functions, late answers.

Pure, no thread owns it. A runtime of actors, a web framework or a graph of executors records each
message that it creates, sends and acknowledges, and a coding agent each file that it reads and each
query of its own database; a session of them would show little else.
Invariant: of these, a span that failed, or that has content of its own, is a step like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.session_facts import session_claim

__all__ = ["SCOPES", "SIGNS", "is_control", "is_early", "is_late", "traces_of_own_functions"]

SCOPES = (
    "agent_framework", "autogen", "codex", "gemini-cli", "mistralai_sdk_tracer", "opencode",
    "openinference.instrumentation.llama_index", "opentelemetry.instrumentation.mcp", "qwen-code",
)  # fmt: skip
"""How the scopes begin of spans that a function here may be true for."""

SIGNS = frozenset({"asgi.event.type", "logfire.span_type", "mastra.span.type"})
"""The attributes of such spans of other scopes."""

_CONTENT = ("input.value", "output.value", "gen_ai.input.messages", "message")
_NO_MESSAGES: tuple[object, ...] = (None, "", "No Message", {}, [])
_OF_STEPS = ("gen_ai.", "openinference.", "input.", "output.")
_OF_GEMINI = ("llm_call", "tool_call", "schedule_tool_calls")
_MISTRAL = "mistralai_sdk_tracer"
_STREAMS = ("stream_chat", "stream_complete")
_OF_GRAPHS = ("message.send", "edge_group.process")


def is_control(span: ReceivedSpan) -> bool:
    """Whether a span, in conventional names, says nothing of an agent's work.

    Sources: AutoGen's ``messaging.operation``; OpenTelemetry's ASGI instrumentation
    (``asgi.event.type``); Microsoft Agent Framework's ``message.send`` and ``edge_group.process``;
    OpenLLMetry's ``ResponseStreamWriter`` of MCP; Logfire's pending spans (``logfire.span_type``);
    the functions of Codex CLI and opencode; Gemini CLI's spans of calls and tools, which its log
    records describe.
    """
    attributes, scope = span.attributes, span.scope
    if "asgi.event.type" in attributes:
        return not span.failed
    if attributes.get("logfire.span_type") == "pending_span":  # says that the span above began
        return not span.failed
    if attributes.get("mastra.span.type") == "model_chunk":  # of an answer that another span has
        return not span.failed
    if scope.startswith("autogen "):
        has_content = any(attributes.get(name) not in _NO_MESSAGES for name in _CONTENT)
        return "messaging.operation" in attributes and not (has_content or span.failed)
    if scope in ("gemini-cli", "qwen-code"):  # their log records are the steps
        return span.name in _OF_GEMINI and not span.failed
    if scope == "opencode" or (scope.startswith("codex") and "busy_ns" in attributes):
        return not (span.failed or any(name.startswith(_OF_STEPS) for name in attributes))
    if scope.startswith("opentelemetry.instrumentation.mcp"):  # the frames of MCP's transport
        is_frame = span.name == "ResponseStreamWriter" and span.parent_id is not None
        return is_frame and not span.failed
    return scope == "agent_framework" and span.name.startswith(_OF_GRAPHS) and not span.failed


def traces_of_own_functions(spans: Sequence[ReceivedSpan]) -> frozenset[str]:
    """The traces of which these spans are a coding agent's own functions alone.

    Each of its queries and files may be a trace of its own, and none is a conversation. A trace
    with any other span, or with one that names its session, is none of these.
    """
    if not any(scope.startswith(_AGENTS) for scope in {span.scope for span in spans}):
        return frozenset()  # as of nearly all requests
    own: set[str] = set()
    others: set[str] = set()
    for span in spans:
        is_own = span.scope.startswith(_AGENTS) and is_control(span)
        if is_own and session_claim(span.attributes, span.resource) is None:
            own.add(span.trace_id)
        else:
            others.add(span.trace_id)
    return frozenset(own - others)


_AGENTS = ("opencode", "codex")


def is_early(span: ReceivedSpan) -> bool:
    """Whether a span of a stream may end before the call of the model that it asks for begins.

    OpenInference's spans of LlamaIndex end once the method has returned the stream, which calls the
    model when the application reads it.
    """
    is_llama_index = span.scope == "openinference.instrumentation.llama_index"
    return is_llama_index and span.name.endswith(_STREAMS)


def is_late(span: ReceivedSpan) -> bool:
    """Whether a span, in conventional names, says what an earlier call of a model was answered.

    Logfire ends a call's span before the application reads the stream, and writes a log record
    behind it; it sends log records as spans (``logfire.span_type``). Mistral's client records each
    message of a conversation's answer in the span of its request, by the server's clock.
    """
    if span.attributes.get("logfire.span_type") == "log":
        return True
    is_chat = span.attributes.get("gen_ai.operation.name") == "chat"
    return span.scope == _MISTRAL and is_chat and "http.request.method" not in span.attributes
