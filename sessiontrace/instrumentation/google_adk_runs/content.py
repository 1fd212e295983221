"""The attributes that hold what agents, tools and models of Google ADK were given and answered.

ADK writes content into its spans only where its environment says so. These attributes are of our
spans beside them, so that what the program exports stays the same. Pure functions over ADK's
objects, which are read by their public attributes, in the tasks of the runs.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["inference_attributes", "messages", "run_attributes", "tool_attributes"]

_ARGUMENTS, _RESULT = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"
_INPUT, _OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
_REQUEST, _RESPONSE = "gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"
_CONFIG_LEFT_OUT = {"http_options", "response_schema"}  # credentials are in the first


def tool_attributes(args: Any, response_event: Any) -> dict[str, Any]:
    """Arguments and result of a tool call; ``response_event``: None where it failed."""
    attributes = {_ARGUMENTS: _json(args)}
    for part in _parts(response_event):
        answer = getattr(part, "function_response", None)
        if answer is not None and answer.response is not None:
            attributes[_RESULT] = _json(answer.response)
            break
    return attributes


def run_attributes(question: Any, events: list[Any]) -> dict[str, Any]:
    """The question of a run, and the last of its ``events`` that says something."""
    attributes = {}
    if question is not None:
        attributes[_INPUT] = _json(messages(question, "user"))
    for event in reversed(events):
        if answer := messages(event.content, "assistant"):
            attributes[_OUTPUT] = _json(answer)
            break
    return attributes


def messages(content: Any, role: str) -> list[dict[str, Any]]:
    """A content as messages of OpenTelemetry's shape: one, or none where it has no text."""
    texts = [
        {"type": "text", "content": part.text}
        for part in getattr(content, "parts", None) or ()
        if part.text and not getattr(part, "thought", None)
    ]
    return [{"role": role, "parts": texts}] if texts else []


def inference_attributes(
    request: Any, responses: list[Any], *, inputs: bool, outputs: bool
) -> dict[str, Any]:
    """Request and answer of a model call, those that are asked for."""
    attributes = {}
    if inputs:
        dumped = {
            "model": request.model,
            "config": _dumped(request.config, _CONFIG_LEFT_OUT),
            "contents": [_dumped(content) for content in request.contents],
        }
        attributes[_REQUEST] = _json(dumped)
    if outputs and (parts := _answered(responses)):
        attributes[_RESPONSE] = _json({"content": {"role": "model", "parts": parts}})
    return attributes


def _answered(responses: list[Any]) -> list[Any]:
    """The parts of an answer; the texts of a streamed one are put together."""
    parts: list[dict[str, Any]] = []
    for response in responses:
        for part in _parts(response):
            dumped = _dumped(part)
            before = parts[-1] if parts else {}
            plain = {"text", "thought"}
            texts = "text" in before and "text" in dumped and plain >= {*before, *dumped}
            if texts and before.get("thought") == dumped.get("thought"):
                before["text"] += dumped["text"]
            else:
                parts.append(dumped)
    return parts


def _parts(holder: Any) -> Any:
    return getattr(getattr(holder, "content", None), "parts", None) or ()


def _dumped(value: Any, left_out: set[str] | None = None) -> Any:
    return value.model_dump(mode="json", exclude_none=True, exclude=left_out)


def _json(value: Any) -> str:
    return json.dumps(value, default=str)
