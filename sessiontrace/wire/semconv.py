"""The names that OTel's GenAI conventions, OpenInference and Traceloop give to a record's fields.

One table, read in both directions, and the views of a model call that every vendor needs. Pure, no
thread owns it. Invariant: the first name of ``otel`` is the one we write; all the others are only
read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

__all__ = [
    "TABLE",
    "VERSION",
    "Field",
    "choices",
    "choices_of",
    "fields_of",
    "finish_reasons",
    "messages",
    "messages_of",
    "operation",
    "parts",
]

VERSION = "semantic-conventions-genai 2026-11"
"""The conventions this table was made from; all of them are still in development."""


class Field(NamedTuple):
    """One field of a record: its path, its kind and what the three conventions call it.

    ``kind``: "text", "int", "float", "bool", "texts" (a list), "ms" (milliseconds here, seconds
    there) or "json" (as JSON text).
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
    _parameter("top_k", "float"),
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
    Field(("config", "tools"), "json", ("gen_ai.tool.definitions",)),
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
    Field(("metrics", "time_to_first_chunk_ms"), "ms", ("gen_ai.response.time_to_first_chunk",)),
    Field(("metadata", "tool_call_id"), "text", ("gen_ai.tool.call.id",)),
    Field(("metadata", "agent_id"), "text", ("gen_ai.agent.id",)),
    Field(("metadata", "agent_name"), "text", ("gen_ai.agent.name",), ("agent.name",)),
    Field(("metadata", "server_address"), "text", ("server.address",)),
    Field(("metadata", "http_status"), "int", ("http.response.status_code",)),
    Field(
        ("user_properties", "user_id"),
        "text",
        ("user.id", "enduser.id"),
        ("user.id",),
        ("traceloop.association.properties.user_id", "gen_ai.user"),
    ),
)
"""Scalar fields. Messages, inputs, outputs, ids and the type of an event have rules of their own,
not names alone."""


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
        held = event.get(part)
        if held and isinstance(held, dict):
            yield from _known(held, names)
            parameters = held.get("hyperparameters") if part == "config" else None
            if isinstance(parameters, dict):
                yield from _known(parameters, _BY_PARAMETER)


def _known(held: dict[str, Any], names: dict[str, Field]) -> Iterator[tuple[Field, Any]]:
    for name, value in held.items():
        if name in names and value is not None:
            yield names[name], value


_KINDS_OF_CALL = {"embedding": "embeddings", "embeddings": "embeddings", "text": "text_completion"}


def operation(event: dict[str, Any]) -> str | None:
    """``gen_ai.operation.name`` for an event; None for a plain chain."""
    kind = event.get("event_type")
    if kind == "tool":
        return "execute_tool"
    if kind != "model":
        return None
    config = event.get("config")
    given = config.get("type") if isinstance(config, dict) else None
    return _KINDS_OF_CALL.get(given, "chat") if isinstance(given, str) else "chat"


# -- the messages of a model call -----------------------------------------------------------


def messages(event: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The chat a model was given, ``[{role, content, ...}]``; None when its inputs are no chat."""
    inputs = event.get("inputs")
    if not isinstance(inputs, dict):
        return None
    for name in ("chat_history", "messages"):
        found = inputs.get(name)
        if isinstance(found, list) and found:
            read = [_message(one) for one in found]
            if all(read):
                return [one for one in read if one]
    return None


def _message(value: Any) -> dict[str, Any] | None:
    """A message of a chat; items of OpenAI's Responses API become the messages they stand for."""
    if _is_message(value):
        found: dict[str, Any] = value
        return found
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "function_call":
        function = {"name": value.get("name"), "arguments": value.get("arguments")}
        call = {"id": value.get("call_id"), "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if kind == "function_call_output":
        answer = value.get("output")
        return {"role": "tool", "tool_call_id": value.get("call_id"), "content": answer}
    return None


def messages_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The chat a model was given, or its inputs as one message of the user's."""
    inputs = event.get("inputs")
    return messages(event) or ([{"role": "user", "content": _text(inputs)}] if inputs else [])


def choices(event: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The messages a model answered with; None when its outputs are none."""
    outputs = event.get("outputs")
    if not isinstance(outputs, dict):
        return None
    if _is_message(outputs):
        return [outputs]
    listed = outputs.get("choices")
    if not isinstance(listed, list) or not listed:
        return None
    found = [
        one["message"] if isinstance(one, dict) and _is_message(one.get("message")) else one
        for one in listed
    ]
    return found if all(_is_message(one) for one in found) else None


def choices_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages a model answered with, or its outputs as one message of the assistant's."""
    found = choices(event)
    outputs = event.get("outputs")
    if found is not None or not outputs:
        return found or []
    if isinstance(outputs, dict):
        for name in ("result", "text", "content"):
            if isinstance(outputs.get(name), str):
                return [{"role": "assistant", "content": outputs[name]}]
    return [{"role": "assistant", "content": _text(outputs)}]


def finish_reasons(event: dict[str, Any]) -> list[str]:
    """Why a model stopped, one reason for each choice."""
    metadata = event.get("metadata")
    found = metadata.get("finish_reason") if isinstance(metadata, dict) else None
    given = found if isinstance(found, list) else [] if found is None else [found]
    return [str(one) for one in given]


def parts(message: dict[str, Any]) -> dict[str, Any]:
    """A message in the form of OTel's GenAI conventions: ``{role, parts: [...]}``."""
    if isinstance(message.get("parts"), list):
        return message
    found: list[dict[str, Any]] = []
    content = message.get("content")
    if message.get("reasoning"):
        found.append({"type": "reasoning", "content": _text(message["reasoning"])})
    if message.get("role") == "tool":
        answer = {"type": "tool_call_response", "response": content}
        if "tool_call_id" in message:
            answer["id"] = message["tool_call_id"]
        found.append(answer)
    elif isinstance(content, list):
        found.extend(_part(one) for one in content)
    elif content is not None:
        found.append({"type": "text", "content": _text(content)})
    calls = message.get("tool_calls")
    found.extend(_tool_call(one) for one in (calls if isinstance(calls, list) else ()))
    return {"role": str(message.get("role", "user")), "parts": found}


def _part(one: Any) -> dict[str, Any]:
    """One part of a message's content, from OpenAI's, Responses' or Anthropic's form."""
    kind = one.get("type") if isinstance(one, dict) else None
    if kind in ("text", "input_text", "output_text") and "text" in one:
        return {"type": "text", "content": one["text"]}
    if kind == "tool_use":
        call = {"id": one.get("id"), "name": one.get("name"), "arguments": one.get("input")}
        return {"type": "tool_call", **call}
    if kind == "tool_result":
        answer = {"id": one.get("tool_use_id"), "response": one.get("content")}
        return {"type": "tool_call_response", **answer}
    if isinstance(kind, str):
        found: dict[str, Any] = one
        return found
    return {"type": "text", "content": _text(one)}


def _tool_call(one: Any) -> dict[str, Any]:
    if not isinstance(one, dict):
        return {"type": "tool_call", "name": _text(one)}
    function = one.get("function")
    called = function if isinstance(function, dict) else one
    arguments = called.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError:  # a stream that broke off in the middle
            pass
    call = {"type": "tool_call", "id": one.get("id"), "name": called.get("name")}
    return {**{k: v for k, v in call.items() if v is not None}, "arguments": arguments}


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and not value.keys().isdisjoint(("content", "tool_calls", "parts", "tool_call"))
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
