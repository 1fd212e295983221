"""Traceloop's SDKs (OpenLLMetry) and LiteLLM's callback, which has the same older names.

Pure functions over a draft, no thread owns them. Source: ``opentelemetry.semconv_ai`` and
``litellm.integrations.opentelemetry``.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import arguments_of, python_value
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["LITELLM", "TRACELOOP"]

_PROPERTIES = "traceloop.association.properties."
_ASSOCIATIONS = {
    "session_id": "session.id",
    "thread_id": "session.id",
    "conversation_id": "session.id",
    "chat_id": "session.id",
    "user_id": "user.id",
}
_VALUES = (
    ("traceloop.entity.input", "input.value"),
    ("gen_ai.task.input", "input.value"),
    ("traceloop.entity.output", "output.value"),
    ("gen_ai.task.output", "output.value"),
)
_TOOL_OUTPUT = frozenset({"raw_output", "raw_input", "tool_name"})
_OF_RUN = frozenset({"tags", "metadata", "kwargs"})
_NAMES = {
    "llm.user": "user.id",
    "llm.is_streaming": "gen_ai.request.stream",
    "gen_ai.is_streaming": "gen_ai.request.stream",
    "gen_ai.response.finish_reason": "gen_ai.response.finish_reasons",
    "gen_ai.cost.total_cost": "gen_ai.usage.cost",
    "gen_ai.cost.input_cost": "llm.cost.prompt",
    "gen_ai.cost.output_cost": "llm.cost.completion",
    "traceloop.prompt.template": "llm.prompt_template.template",
    "traceloop.prompt.key": "llm.prompt_template.name",
    "traceloop.prompt.version": "llm.prompt_template.version",
    "traceloop.prompt.template_variables": "llm.prompt_template.variables",
}

_OPERATIONS = {
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
}


def _translate(draft: Draft) -> None:
    draft.rename({f"{_PROPERTIES}{name}": to for name, to in _ASSOCIATIONS.items()})
    entries = draft.take_below(_PROPERTIES)
    if (other := entries.pop("session_id", None)) is not None:  # it wins over a ``session.id``
        draft.attributes[f"{_PROPERTIES}session_id"] = other
    draft.offer_metadata(entries)
    for name, side in _VALUES:
        if name in draft.attributes:
            value = _of_callback(draft, whole_json(draft.get(name)))
            if draft.offer(side, arguments_of(value)):
                draft.take(name)
    for name in ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"):
        if name in draft.attributes:
            draft.attributes[name] = _of_callback(draft, whole_json(draft.get(name)))
    returned = draft.get("output.value")
    if isinstance(returned, dict) and returned.keys() >= _TOOL_OUTPUT:  # LlamaIndex's
        draft.attributes["traceloop.span.kind"] = "tool"
        draft.offer("gen_ai.tool.name", returned["tool_name"])
    for name in [name for name, value in draft.attributes.items() if value is None]:
        draft.take(name)
    if draft.is_model:
        draft.offer("gen_ai.request.model", draft.get("gen_ai.response.model"))
    _translate_request(draft)


def _of_callback(draft: Draft, value: Any) -> Any:
    """What a callback of LangChain's was given, whose payload also says what the run is of.

    Such a payload has ``tags`` and ``metadata``, or ``kwargs``, beside the value.
    """
    if not isinstance(value, dict) or not (value.keys() - _OF_RUN and value.keys() & _OF_RUN):
        return value
    (name, *others) = sorted(value.keys() - _OF_RUN)  # of a tool: input_str, inputs
    if others not in ([], ["inputs"]) or name not in ("inputs", "input_str", "outputs", "output"):
        return value
    run = {key: entry for key in _OF_RUN if (entry := value.get(key))}
    tags, metadata, keywords = (run.get(key) for key in ("tags", "metadata", "kwargs"))
    draft.offer_metadata(metadata if isinstance(metadata, dict) else {})
    draft.offer_metadata({"run_tags": tags} if tags else {})
    draft.offer_metadata({"run": keywords} if keywords and keywords != {"tags": tags} else {})
    if name != "input_str":
        return value[name]
    arguments = value.get("inputs")
    return arguments if isinstance(arguments, dict) else python_value(value[name])


def _translate_request(draft: Draft) -> None:
    """Offer the parts of a request and an answer in their older names."""
    draft.rename(_NAMES)
    kind = draft.get("llm.request.type")
    operation = _OPERATIONS.get(kind) if isinstance(kind, str) else None
    if draft.offer("gen_ai.operation.name", operation):
        draft.take("llm.request.type")
    functions = draft.take_items("llm.request.functions.")
    draft.offer("gen_ai.tool.definitions", [_function(item) for item in functions] or None)


def _function(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    function = {name: value for name, value in item.items() if value not in (None, "", "None")}
    if "parameters" in function:
        function["parameters"] = json_value(function["parameters"])
    return {"type": "function", **function}


def _translate_litellm(draft: Draft) -> None:
    _translate_request(draft)
    entries = {
        name: value
        for name, value in draft.take_below("metadata.").items()
        if value not in ("", "[]", None)
    }
    for name, conventional in (*_ASSOCIATIONS.items(), ("user_api_key_end_user_id", "user.id")):
        if name in entries and draft.offer(conventional, entries[name]):
            del entries[name]
    draft.offer_metadata(entries)
    call = draft.take_below("gen_ai.completion.0.function_call.")
    answers = json_value(draft.get("gen_ai.output.messages"))
    answer = answers[0] if isinstance(answers, list) and answers else None
    if call and isinstance(answer, dict) and not answer.get("parts"):  # they lack calls of tools
        part = {"type": "tool_call", "arguments": None, **call}
        draft.attributes["gen_ai.output.messages"] = [{**answer, "parts": [part]}]
    if isinstance(hidden := json_value(draft.get("hidden_params")), dict):
        draft.take("hidden_params")
        draft.offer("gen_ai.usage.cost", hidden.get("response_cost"))
        draft.offer_metadata({"litellm": {k: v for k, v in hidden.items() if v is not None}})


TRACELOOP = Dialect(frozenset({"traceloop", "llm"}), _translate)
LITELLM = Dialect(frozenset({"litellm", "hidden_params"}), _translate_litellm)
