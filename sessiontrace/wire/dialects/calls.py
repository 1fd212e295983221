"""What went into a call and came out of it, offered in the names of the conventions.

Pure functions over a draft, no thread owns them. Producers that keep the bodies of requests and
replies whole use these. Invariant: what a body holds beyond its chat is offered, too.
"""

from __future__ import annotations

import ast
from typing import Any

import orjson

from sessiontrace.wire.dialects.chat_shapes import answers_of, chat_of, plain_messages, text_of
from sessiontrace.wire.dialects.draft import Draft
from sessiontrace.wire.python_texts.fields import fields_of
from sessiontrace.wire.python_texts.unset import is_unset, stated
from sessiontrace.wire.value_tree import whole_json

__all__ = [
    "arguments_of",
    "offer_inputs",
    "offer_outputs",
    "offer_parameters",
    "offer_usage",
    "offer_user",
    "python_value",
    "settle",
]

_IN_CHAT = frozenset(
    {"messages", "contents", "chat_history", "prompt", "system", "instructions", "input", "inputs"}
)
_COUNTS = {
    "gen_ai.usage.input_tokens": (
        "prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "input",
        "promptTokenCount", "prompt_token_count",
    ),
    "gen_ai.usage.output_tokens": (
        "completion_tokens", "output_tokens", "completionTokens", "outputTokens", "output",
        "candidatesTokenCount", "candidates_token_count",
    ),
    "gen_ai.usage.total_tokens": (
        "total_tokens", "totalTokens", "total", "totalTokenCount", "total_token_count", "tokens",
    ),
    "gen_ai.usage.cache_read.input_tokens": (
        "cache_read_input_tokens", "input_cached_tokens", "input_cache_read", "cache_read",
        "cached_tokens", "cacheReadInputTokens", "cachedInputTokens",
        "cachedContentTokenCount", "cached_content_token_count",
        "cacheReadTokens", "input_cache_read_tokens", "cached_prompt_tokens",
    ),
    "gen_ai.usage.cache_write.input_tokens": (
        "cache_creation_input_tokens", "input_cache_creation", "cache_creation", "cache_write",
        "cache_write_input_tokens", "cacheWriteInputTokens", "cacheWriteTokens",
        "input_cache_write_tokens", "cache_creation_tokens",
    ),
    "gen_ai.usage.reasoning.output_tokens": (
        "reasoning_tokens", "output_reasoning_tokens", "output_reasoning", "reasoning",
        "reasoningTokens", "thoughtsTokenCount", "thoughts_token_count",
    ),
}  # fmt: skip
"""Each count's names in the usage objects of the APIs and of their tracers, the best one first."""
_COUNT_NAMES = {name: count for count, names in _COUNTS.items() for name in names}
_LITERAL_CHARS = 100_000
_DETAILS = (
    "prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails",
    "completion_tokens_details", "output_tokens_details", "output_token_details",
    "outputTokenDetails",
)  # fmt: skip


def offer_inputs(draft: Draft, value: Any, *, chat_of_step: bool = False) -> None:
    """Offer what went in: a model's chat and parameters, or the inputs of any other step.

    ``chat_of_step``: a step's inputs, too, are read as a chat where they can be.
    """
    value = whole_json(value)
    if value is None:
        return
    value = arguments_of(value)
    chat = chat_of(value) if draft.is_model or chat_of_step else None
    if chat is None:
        draft.offer("input.value", value)
        return
    definitions = [message["content"] for message in chat if _is_definition(message)]
    draft.offer("gen_ai.tool.definitions", definitions or None)
    draft.offer("gen_ai.input.messages", [entry for entry in chat if not _is_definition(entry)])
    if isinstance(value, dict):
        offer_parameters(draft, {k: v for k, v in value.items() if k not in _IN_CHAT})


def _is_definition(message: dict[str, Any]) -> bool:
    """Whether a message is the definition of a tool, as Langfuse's handler of LangChain has it."""
    content = message.get("content")
    if message.get("role") != "tool" or "tool_call_id" in message or not isinstance(content, dict):
        return False
    inner = content.get("function", content)
    schemas = ("parameters", "input_schema", "description")
    return isinstance(inner, dict) and "name" in inner and any(name in inner for name in schemas)


def offer_parameters(draft: Draft, parameters: dict[str, Any]) -> None:
    """Offer a request's model, tools and parameters."""
    left = stated(parameters)
    offer_user(draft, left)
    draft.offer("gen_ai.request.model", left.pop("model", None))
    draft.offer("gen_ai.tool.definitions", left.pop("tools", None) or None)
    draft.offer("llm.invocation_parameters", left or None)


def offer_user(draft: Draft, parameters: dict[str, Any]) -> None:
    """Offer the end user that a request names to its provider, which is removed."""
    user = parameters.get("user")
    if isinstance(user, str) and draft.offer("user.id", user):
        del parameters["user"]


def offer_outputs(draft: Draft, value: Any) -> None:
    """Offer what came out: a model's answers and counts, or the outputs of any other step."""
    value = whole_json(value)
    if value is None:
        return
    answers = answers_of(value) if draft.is_model else None
    if answers is None:
        draft.offer("output.value", value)
        return
    draft.offer("gen_ai.output.messages", answers)
    if isinstance(value, dict):
        draft.offer("gen_ai.response.model", value.get("model"))
        draft.offer("gen_ai.response.id", value.get("id"))
        for name in ("usage", "usage_metadata", "usageMetadata"):
            offer_usage(draft, value.get(name))


def arguments_of(value: Any) -> Any:
    """The inputs of a Python function, recorded as ``{args, kwargs}``, by name where they can be.

    Any other value comes back as it is.
    """
    if not isinstance(value, dict) or "kwargs" not in value:
        return value
    if "args" not in value and (len(value) > 1 or not isinstance(value["kwargs"], dict)):
        return value
    positional, named_inputs = value.get("args"), value["kwargs"]
    others = {name: item for name, item in value.items() if name not in ("args", "kwargs")}
    if not positional and isinstance(named_inputs, dict):
        return {**others, **named_inputs}
    if isinstance(positional, list) and len(positional) == 1 and not (named_inputs or others):
        return positional[0] if isinstance(positional[0], dict) else {"input": positional[0]}
    return value


def python_value(text: Any) -> Any:
    """The value that a text shows as Python does; the text where it shows none of JSON's values."""
    if not isinstance(text, str) or len(text) > _LITERAL_CHARS or text[:1] not in ("{", "(", "["):
        return text
    try:
        value = ast.literal_eval(text)
        orjson.dumps(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError, SystemError, TypeError):
        return text
    return [*value] if isinstance(value, tuple) else value


def offer_usage(draft: Draft, value: Any) -> dict[str, Any]:
    """Offer the counts of a usage object; returns what has no conventional name.

    The conventions count cached tokens in the input and reasoning in the output. Where a total says
    that a usage object counts them beside, they are added.
    """
    usage = whole_json(value)
    if not isinstance(usage, dict):
        return {}
    counts: dict[str, int] = {}
    left: dict[str, Any] = {}
    for name, number in _flat(usage).items():
        count = _COUNT_NAMES.get(name)
        if count is not None and type(number) in (int, float):
            counts.setdefault(count, int(number))
        elif number is not None:
            left[name] = number
    for count, number in _inclusive(counts, usage).items():
        draft.offer(count, number)
    return left


def _flat(usage: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in usage.items() if name not in _DETAILS}
    for name in _DETAILS:
        details = usage.get(name)
        if isinstance(details, dict):
            flat.update((k, v) for k, v in details.items() if k not in flat)
    return flat


def _inclusive(counts: dict[str, int], usage: dict[str, Any]) -> dict[str, int]:
    prompt, completion, total, *details = _COUNTS
    read, write, reasoning = (counts.get(name, 0) for name in details)
    inside = counts.get(prompt, 0) + counts.get(completion, 0)
    apart = inside + read + write
    stated = counts.get(total)
    of_anthropic = stated is None and "cache_read_input_tokens" in usage and "input_tokens" in usage
    if stated != inside and (of_anthropic or stated in (apart, apart + reasoning)):
        counts[prompt] = counts.get(prompt, 0) + read + write
        if stated == apart + reasoning and reasoning:
            counts[completion] = counts.get(completion, 0) + reasoning
    return counts


# -- steps ---------------------------------------------------------------------------------

_TOOL_SIGNS = (
    ("gen_ai.operation.name", "execute_tool"),
    ("openinference.span.kind", "TOOL"),
    ("traceloop.span.kind", "tool"),
)
_ARGUMENTS = ("gen_ai.tool.call.arguments", "input.value", "tool.parameters")
_RESULTS = ("gen_ai.tool.call.result", "output.value")
_OF_MESSAGES = frozenset(
    {"content", "type", "name", "id", "tool_call_id", "status", "artifact", "additional_kwargs",
     "response_metadata", "metadata"}
)  # fmt: skip


def settle(draft: Draft) -> None:
    """Put what a step was given and returned in place of what a framework wraps it in.

    A parameter of a request that only says that it was left out is removed.
    """
    for name in [name for name in draft.attributes if name.startswith("gen_ai.request.")]:
        if is_unset(value := draft.get(name)) or value in ([], ()):
            draft.take(name)
    if draft.get("user.id") == "unknown":  # as Guardrails and opencode have it
        draft.take("user.id")
    kind = draft.get("gen_ai.output.type") if draft.is_model else None
    if kind is not None and draft.offer("llm.invocation_parameters", {"output_type": kind}):
        draft.take("gen_ai.output.type")
    if any(draft.get(name) == value for name, value in _TOOL_SIGNS):
        _settle_tool(draft)
    elif not draft.is_model:
        for name in ("input.value", "output.value"):
            present = draft.get(name)
            value = plain = whole_json(present)
            if name == "input.value":
                plain = arguments_of(plain)
            if isinstance(present, str) and '"constructor"' in present:
                plain = plain_messages(plain)
            if (state := _state_of(plain)) is not value:
                draft.attributes[name] = state


def _state_of(value: Any) -> Any:
    """What a step of LangGraph is given or changes, with its messages as those of a chat."""
    inner = value["output"] if isinstance(value, dict) and value.keys() == {"output"} else value
    command = inner[0] if isinstance(inner, list) and len(inner) == 1 else None
    if isinstance(command, dict) and isinstance(command.get("update"), dict):
        others = [other for name, other in command.items() if name not in ("update", "lg_name")]
        if not any(others):
            value = command["update"]
    messages = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(messages, list) or all(
        isinstance(message, dict) and "role" in message for message in messages
    ):
        return value
    chat = chat_of(messages)
    return value if chat is None else {**value, "messages": chat}


def _settle_tool(draft: Draft) -> None:
    for name in _ARGUMENTS:
        value = whole_json(draft.get(name))
        if (arguments := _arguments_in(arguments_of(value))) is not value:
            draft.attributes[name] = arguments
    for name in _RESULTS:
        value = whole_json(draft.get(name))
        result, call_id = _result_of(value)
        if result is not value:
            draft.attributes[name] = result
            draft.offer("gen_ai.tool.call.id", call_id)


def _arguments_in(value: Any) -> Any:
    """The arguments in the parameters of MCP's ``tools/call``, or of BeeAI's ``Tool.run``."""
    if not isinstance(value, dict):
        return value
    if value.keys() in ({"name", "arguments"}, {"tool_name", "arguments"}):
        return {} if value["arguments"] is None else value["arguments"]
    is_run = value.keys() == {"input", "options"} and not value["options"]
    return value["input"] if is_run and isinstance(value["input"], dict) else value


def _result_of(value: Any) -> tuple[Any, Any]:
    """What a tool returned, and the id of its call, in a message or an object around it.

    Such are LangChain's ``ToolMessage``, also as its constructor, LlamaIndex's ``ToolOutput``,
    MCP's ``CallToolResult`` and Agno's ``FunctionExecutionResult``, as JSON or as Python's text.
    A value with anything beyond it comes back as it is.
    """
    inner = value
    if isinstance(inner, str) and inner.startswith(_OBJECTS):
        inner = _object_of(fields_of(inner))
    if isinstance(inner, dict) and inner.keys() == {"output"}:
        inner = inner["output"]
    if isinstance(inner, dict) and inner.get("type") == "constructor":
        inner = _message_of_constructor(inner)
    if isinstance(inner, list) and len(inner) == 2 and inner[0] is True:  # AG2's, that it succeeded
        inner = {"type": "tool", **inner[1]} if isinstance(inner[1], dict) else None
        inner = {k: v for k, v in inner.items() if k != "role"} if inner else None
    if not isinstance(inner, dict):
        return value, None
    is_message = inner.get("type") == "tool" and inner.keys() <= _OF_MESSAGES
    beside = ("artifact", "additional_kwargs", "response_metadata")
    is_plain = not any(inner.get(name) for name in beside)
    if is_message and is_plain and _is_of_versions(inner.get("metadata")):
        is_right = inner.get("status") in (None, "success")
        return (inner.get("content") if is_right else value), inner.get("tool_call_id")
    if inner.keys() >= {"content", "isError"} and not inner["isError"]:  # MCP's
        text = text_of(inner["content"])
        return (value if text is None else text), None
    if inner.keys() >= {"status", "result", "error"} and inner["status"] == "success":  # Agno's
        others = (item for name, item in inner.items() if name not in ("status", "result"))
        return (value if any(others) else inner["result"]), None
    if {"raw_output", "raw_input", "tool_name"} <= inner.keys() and not inner.get("is_error"):
        return inner["raw_output"], None
    return value, None


_OBJECTS = ("status=", "content=", "meta=")


def _object_of(fields: dict[str, Any] | None) -> dict[str, Any] | None:
    """The fields of an object that is a tool's result or around it; None for any other."""
    if fields is not None and fields.keys() >= {"content", "tool_call_id"}:
        return {"type": "tool", **fields}
    return fields


def _message_of_constructor(value: dict[str, Any]) -> Any:
    """The fields of a message that LangChain wrote as its constructor; JavaScript's lack a type."""
    name, fields = value.get("id"), value.get("kwargs")
    is_tool = isinstance(name, list) and bool(name) and name[-1] == "ToolMessage"
    return {"type": "tool", **fields} if is_tool and isinstance(fields, dict) else fields


def _is_of_versions(metadata: Any) -> bool:
    """Whether a message's metadata say the versions of LangChain's packages alone."""
    return not metadata or (isinstance(metadata, dict) and metadata.keys() == {"versions"})
