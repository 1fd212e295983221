"""Spans of what carries messages, beside those of the work that the messages ask for.

Pure, no thread owns it. A runtime of actors, a web framework or a graph of executors records each
message that it creates, sends and acknowledges; a session of them would show little else.
Invariant: a span that failed, or that has content of its own, is a step like any other.
"""

from __future__ import annotations

from sessiontrace.wire.received_span import ReceivedSpan

__all__ = ["is_control"]

_CONTENT = ("input.value", "output.value", "gen_ai.input.messages", "message")
_NO_MESSAGES: tuple[object, ...] = (None, "", "No Message", {}, [])
_OF_GRAPHS = ("message.send", "edge_group.process")


def is_control(span: ReceivedSpan) -> bool:
    """Whether a span, in conventional names, is about carrying a message only.

    Sources: AutoGen's ``messaging.operation``; OpenTelemetry's ASGI instrumentation
    (``asgi.event.type``); Microsoft Agent Framework's ``message.send`` and ``edge_group.process``;
    OpenLLMetry's ``ResponseStreamWriter`` of MCP.
    """
    attributes, scope = span.attributes, span.scope
    if "asgi.event.type" in attributes:
        return not span.failed
    if attributes.get("mastra.span.type") == "model_chunk":  # of an answer that another span has
        return not span.failed
    if scope.startswith("autogen "):
        has_content = any(attributes.get(name) not in _NO_MESSAGES for name in _CONTENT)
        return "messaging.operation" in attributes and not (has_content or span.failed)
    if scope.startswith("opentelemetry.instrumentation.mcp"):  # the frames of MCP's transport
        is_frame = span.name == "ResponseStreamWriter" and span.parent_id is not None
        return is_frame and not span.failed
    return scope == "agent_framework" and span.name.startswith(_OF_GRAPHS) and not span.failed
