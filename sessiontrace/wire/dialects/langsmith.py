"""LangSmith's SDKs in OTel mode, whose attributes begin with ``langsmith.``.

Pure functions over a draft, no thread owns them. Inputs and outputs are JSON, in ``gen_ai.prompt``
and ``gen_ai.completion``. Source: "Trace with OpenTelemetry" in LangSmith's documents.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.dialects.calls import offer_inputs, offer_outputs, offer_usage
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["LANGSMITH"]

_KINDS = {
    "llm": "LLM",
    "embedding": "EMBEDDING",
    "tool": "TOOL",
    "retriever": "RETRIEVER",
    "prompt": "PROMPT",
    "chain": "CHAIN",
    "parser": "CHAIN",
}
_METADATA = {
    "session_id": "session.id",
    "thread_id": "session.id",
    "conversation_id": "session.id",
    "user_id": "user.id",
    "ls_provider": "gen_ai.provider.name",
    "ls_model_name": "gen_ai.request.model",
    "ls_temperature": "gen_ai.request.temperature",
    "ls_max_tokens": "gen_ai.request.max_tokens",
    "ls_stop": "gen_ai.request.stop_sequences",
}
_OPERATIONS = frozenset({"chat", "execute_tool", "embeddings", "text_completion"})


def _translate(draft: Draft) -> None:
    kind = draft.take("langsmith.span.kind")
    operation = draft.get("gen_ai.operation.name")
    if not (isinstance(operation, str) and operation in _OPERATIONS):  # it writes its kind there
        draft.take("gen_ai.operation.name")
        if isinstance(kind, str):
            draft.offer("openinference.span.kind", _KINDS.get(kind, "CHAIN"))
    if draft.get("gen_ai.system") == "langchain":  # for the spans of every library
        draft.take("gen_ai.system")
    _translate_metadata(draft)
    tags = draft.take("langsmith.span.tags")
    if isinstance(tags, str):
        draft.offer("tag.tags", [tag.strip() for tag in tags.split(",") if tag.strip()])
    elif tags is not None:
        draft.offer("tag.tags", tags)
    if draft.get("langsmith.trace.name") == draft.span.name:
        draft.take("langsmith.trace.name")
    for name in ("gen_ai.usage.input_token_details", "gen_ai.usage.output_token_details"):
        offer_usage(draft, _details(draft.take(name)))
    offer_usage(draft, draft.take("langsmith.usage_metadata"))
    offer_inputs(draft, draft.take("gen_ai.prompt"))
    offer_outputs(draft, _unwrapped(draft.take("gen_ai.completion")))


def _details(value: Any) -> Any:
    """Counts that the SDK writes as Python shows a dict of numbers."""
    return value.replace("'", '"') if isinstance(value, str) else value


def _unwrapped(value: Any) -> Any:
    """The outputs of a function without the object that the SDK puts around them."""
    decoded = whole_json(value)
    if isinstance(decoded, dict) and decoded.keys() in ({"output"}, {"outputs"}):
        (decoded,) = decoded.values()  # that of JavaScript is in the plural
    return decoded


def _translate_metadata(draft: Draft) -> None:
    entries = {k: json_value(v) for k, v in draft.take_below("langsmith.metadata.").items()}
    offer_usage(draft, entries.pop("usage_metadata", None))
    for name, conventional in _METADATA.items():
        if name in entries and draft.offer(conventional, entries[name]):
            del entries[name]
    draft.offer_metadata({name: value for name, value in entries.items() if value != {}})


LANGSMITH = Dialect(frozenset({"langsmith"}), _translate)
