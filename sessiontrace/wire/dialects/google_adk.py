"""Google's Agent Development Kit, whose own attributes begin with ``gcp.vertex.agent.``.

Pure functions over a draft, no thread owns them. Source: ``google.adk.telemetry``.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import offer_parameters, offer_usage
from sessiontrace.wire.dialects.chat_shapes import answers_of, chat_of
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["GOOGLE_ADK"]

_OWN = "gcp.vertex.agent."
_NAMES = {
    f"{_OWN}session_id": "gen_ai.conversation.id",
    f"{_OWN}user_id": "user.id",
    f"{_OWN}tool_call_args": "gen_ai.tool.call.arguments",
    f"{_OWN}tool_response": "gen_ai.tool.call.result",
}
_EMPTY = ("{}", "N/A", "", "<not specified>", "<not serializable>")
"""What the kit writes in place of content that it does not record."""


def _translate(draft: Draft) -> None:
    for name, value in list(draft.attributes.items()):
        if name.startswith(_OWN) and value in _EMPTY:
            draft.take(name)
    draft.rename(_NAMES)
    request, reply = (
        json_value(draft.get(f"{_OWN}llm_{part}")) for part in ("request", "response")
    )
    if isinstance(request, dict):
        draft.take(f"{_OWN}llm_request")
        draft.offer("gen_ai.operation.name", "generate_content")
        _offer_request(draft, request)
    if isinstance(reply, dict):
        draft.take(f"{_OWN}llm_response")
        offer_usage(draft, reply.get("usage_metadata"))
        draft.offer("gen_ai.output.messages", answers_of(reply))
    if isinstance(data := draft.get(f"{_OWN}data"), str):
        draft.attributes[f"{_OWN}data"] = whole_json(data)


def _offer_request(draft: Draft, request: dict[str, Any]) -> None:
    draft.offer("gen_ai.input.messages", chat_of(request))
    draft.offer("gen_ai.request.model", request.get("model"))
    config = request.get("config")
    if isinstance(config, dict):
        parameters = {k: v for k, v in config.items() if k not in ("system_instruction", "labels")}
        offer_parameters(draft, parameters)


GOOGLE_ADK = Dialect(frozenset({"gcp"}), _translate)
