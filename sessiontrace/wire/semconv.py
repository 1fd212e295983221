"""The names that OTel's GenAI conventions, OpenInference and Traceloop give to a record's fields.

One table, used to read and to write spans. Pure values, no thread owns them. Invariant: the span
writer uses the first name of ``otel``; all other names are only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = [
    "AGENT_OPERATIONS",
    "COPIES",
    "FINISH_REASONS",
    "OPERATIONS",
    "SHARED",
    "SHARED_NAMES",
    "TABLE",
    "VERSION",
    "Field",
    "fields_of",
    "milliseconds",
]

VERSION = "semantic-conventions-genai 2026-11"
"""The conventions that this table follows; they are still in development."""

OPERATIONS = {
    "chat": "model",
    "generate_content": "model",
    "text_completion": "model",
    "embeddings": "embedding",
    "fetch_response": "model",
    "rerank": "model",
    "moderation": "model",
    "classification": "model",
    "decision": "model",
    "ocr": "model",
    "execute_tool": "tool",
    "retrieval": "retriever",
    "search_memory": "tool",
    "create_memory": "tool",
    "update_memory": "tool",
    "upsert_memory": "tool",
    "delete_memory": "tool",
    "create_memory_store": "tool",
    "delete_memory_store": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "plan": "chain",
}
"""The values of ``gen_ai.operation.name``, each with the type of event that it is.

From "rerank" to "ocr" they are values of our own, as the conventions ask for where they have none.
"""

AGENT_OPERATIONS = frozenset({"invoke_agent", "create_agent"})
"""The operations of agents."""

FINISH_REASONS = {
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "refusal": "content_filter",
}
"""Providers' reasons in the words of the conventions; any other reason stays as it is."""

COPIES = {"gen_ai.usage.cache_write.input_tokens": "gen_ai.usage.cache_creation.input_tokens"}
"""Attributes that are also written under their older name, the only one that Phoenix reads."""


class Field(NamedTuple):
    """One field of a record: its path, its kind and its names in the three conventions.

    ``kind``: "text", "int", "float", "bool", "texts" (a list), "ms" (milliseconds here, seconds
    there), "json" (as JSON text) or "tools" (as JSON text, each definition flat).
    """

    path: tuple[str, ...]
    kind: str
    otel: tuple[str, ...] = ()
    openinference: tuple[str, ...] = ()
    traceloop: tuple[str, ...] = ()


def _parameter(name: str, kind: str, *otel: str) -> Field:
    return Field(("config", "hyperparameters", name), kind, otel or (f"gen_ai.request.{name}",))


TABLE: tuple[Field, ...] = (
    Field(
        ("config", "model"),
        "text",
        ("gen_ai.request.model",),
        (
            "llm.request.model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
    ),
    Field(
        ("config", "provider"),
        "text",
        ("gen_ai.provider.name", "gen_ai.system"),
        ("llm.provider", "llm.system"),
    ),
    _parameter("temperature", "float"),
    _parameter("top_p", "float"),
    _parameter("top_k", "int"),
    _parameter("max_tokens", "int"),
    _parameter("max_completion_tokens", "int", "gen_ai.request.max_tokens"),
    _parameter("max_output_tokens", "int", "gen_ai.request.max_tokens"),
    _parameter("frequency_penalty", "float"),
    _parameter("presence_penalty", "float"),
    _parameter("seed", "int"),
    _parameter("stop", "texts", "gen_ai.request.stop_sequences"),
    _parameter("stop_sequences", "texts"),
    _parameter("previous_response_id", "text", "gen_ai.request.previous_response.id"),
    _parameter("n", "int", "gen_ai.request.choice.count"),
    _parameter("stream", "bool"),
    _parameter("encoding_formats", "texts"),
    Field(
        ("config", "hyperparameters", "reasoning_effort"),
        "text",
        ("gen_ai.request.reasoning.level",),
        (),
        ("gen_ai.request.reasoning_effort",),
    ),
    Field(("config", "hyperparameters", "service_tier"), "text", ("openai.request.service_tier",)),
    Field(
        ("config", "hyperparameters"),
        "json",
        (),
        ("llm.invocation_parameters", "embedding.invocation_parameters"),
    ),
    Field(("config", "template"), "text", (), ("llm.prompt_template.template",)),
    Field(("config", "prompt_version"), "text", (), ("llm.prompt_template.version",)),
    Field(("config", "prompt_name"), "text", (), ("llm.prompt_template.name",)),
    Field(("config", "prompt_variables"), "json", (), ("llm.prompt_template.variables",)),
    Field(("config", "tools"), "tools", ("gen_ai.tool.definitions",)),
    Field(
        ("metadata", "prompt_tokens"),
        "int",
        ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        ("llm.token_count.prompt",),
    ),
    Field(
        ("metadata", "completion_tokens"),
        "int",
        ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        ("llm.token_count.completion",),
    ),
    Field(
        ("metadata", "total_tokens"),
        "int",
        (),
        ("llm.token_count.total",),
        ("llm.usage.total_tokens", "gen_ai.usage.total_tokens"),
    ),
    Field(
        ("metadata", "cache_read_tokens"),
        "int",
        ("gen_ai.usage.cache_read.input_tokens",),
        ("llm.token_count.prompt_details.cache_read",),
        ("gen_ai.usage.cache_read_input_tokens",),
    ),
    Field(
        ("metadata", "cache_write_tokens"),
        "int",
        (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
        ("llm.token_count.prompt_details.cache_write",),
    ),
    Field(
        ("metadata", "reasoning_tokens"),
        "int",
        ("gen_ai.usage.reasoning.output_tokens",),
        ("llm.token_count.completion_details.reasoning",),
        ("gen_ai.usage.reasoning_tokens",),
    ),
    # Not in OTel's conventions; Langfuse reads this name. Logfire's name is read, too.
    Field(
        ("metadata", "cost"),
        "float",
        ("gen_ai.usage.cost", "operation.cost"),
        ("llm.cost.total",),
    ),
    Field(("metadata", "prompt_cost"), "float", (), ("llm.cost.prompt",)),
    Field(("metadata", "completion_cost"), "float", (), ("llm.cost.completion",)),
    Field(("metadata", "response_id"), "text", ("gen_ai.response.id",)),
    Field(
        ("metadata", "response_model"),
        "text",
        ("gen_ai.response.model",),
        ("llm.response.model_name",),
    ),
    Field(
        ("metadata", "finish_reason"),
        "texts",
        ("gen_ai.response.finish_reasons",),
        ("llm.finish_reason",),
    ),
    Field(
        ("metrics", "time_to_first_chunk_ms"),
        "ms",
        ("gen_ai.response.time_to_first_chunk", "gen_ai.client.operation.time_to_first_chunk"),
    ),
    Field(("metadata", "tool_call_id"), "text", ("gen_ai.tool.call.id",)),
    Field(("metadata", "agent_id"), "text", ("gen_ai.agent.id",)),
    Field(("metadata", "agent_name"), "text", ("gen_ai.agent.name",), ("agent.name",)),
    Field(("metadata", "server_address"), "text", ("server.address",)),
    Field(("metadata", "server_port"), "int", ("server.port",)),
    Field(("metadata", "http_status"), "int", ("http.response.status_code",)),
    Field(
        ("user_properties", "user_id"),
        "text",
        ("user.id", "enduser.id"),
        ("user.id",),
        ("traceloop.association.properties.user_id", "gen_ai.user", "gen_ai.request.user"),
    ),
)
"""Single fields. Messages, inputs, outputs, ids and types of events follow rules of their own."""


SHARED: dict[tuple[str, ...], tuple[str, ...]] = {}
"""The path of each field whose attribute an earlier field has too, with the path of that one."""

SHARED_NAMES: set[str] = set()
"""The names of these attributes."""

_firsts: dict[str, tuple[str, ...]] = {}
for _field in TABLE:
    for _name in _field.otel[:1]:
        if _firsts.setdefault(_name, _field.path) != _field.path:
            SHARED[_field.path] = _firsts[_name]
            SHARED_NAMES.add(_name)


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds, exact to a nanosecond."""
    return round(seconds * 1000, 6)


_BY_PART: dict[str, dict[str, Field]] = {}
_BY_PARAMETER: dict[str, Field] = {}
for _field in TABLE:
    if len(_field.path) == 2:
        _BY_PART.setdefault(_field.path[0], {})[_field.path[1]] = _field
    else:
        _BY_PARAMETER[_field.path[2]] = _field


def fields_of(event: dict[str, Any]) -> Iterator[tuple[Field, Any]]:
    """The fields of the table that an event has, with their values, in the event's order."""
    for part, names in _BY_PART.items():
        values = event.get(part)
        if values and isinstance(values, dict):
            yield from _named_fields(values, names)
            parameters = values.get("hyperparameters") if part == "config" else None
            if isinstance(parameters, dict):
                yield from _named_fields(parameters, _BY_PARAMETER)


def _named_fields(values: dict[str, Any], names: dict[str, Field]) -> Iterator[tuple[Field, Any]]:
    for name, value in values.items():
        if name in names and value is not None:
            yield names[name], value
