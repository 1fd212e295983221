"""Spans of what carries messages, or of a program's own functions, beside those of its work.

Pure, no thread owns it. A runtime of actors, a web framework or a graph of executors records each
message that it creates, sends and acknowledges, and a coding agent each file that it reads and each
query of its own database; a session of them would show little else.
Invariant: a span that failed, or that has content of its own, is a step like any other.
"""

from __future__ import annotations

from sessiontrace.wire.received_span import ReceivedSpan

__all__ = ["is_control"]

_CONTENT = ("input.value", "output.value", "gen_ai.input.messages", "message")
_NO_MESSAGES: tuple[object, ...] = (None, "", "No Message", {}, [])
_OF_STEPS = ("gen_ai.", "openinference.", "input.", "output.")
_OF_GEMINI = ("llm_call", "tool_call", "schedule_tool_calls")
_OF_GRAPHS = ("message.send", "edge_group.process")


def is_control(span: ReceivedSpan) -> bool:
    """Whether a span, in conventional names, says nothing of an agent's work.

    Sources: AutoGen's ``messaging.operation``; OpenTelemetry's ASGI instrumentation
    (``asgi.event.type``); Microsoft Agent Framework's ``message.send`` and ``edge_group.process``;
    OpenLLMetry's ``ResponseStreamWriter`` of MCP; the functions of Codex CLI and opencode; Gemini
    CLI's spans of calls and tools, which its log records describe.
    """
    attributes, scope = span.attributes, span.scope
    if "asgi.event.type" in attributes:
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
