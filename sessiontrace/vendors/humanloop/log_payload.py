"""A record as a Humanloop v4 log, feedback or update, without regard to batches.

Pure functions, no thread owns them. Invariant: the result is legal by Humanloop's v4 OpenAPI
document (October 2024) whatever the record's buckets contain.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.model.fields import ATTRIBUTES, SCORES
from sessiontrace.model.step_types import base_of
from sessiontrace.wire import chat_payload

__all__ = ["chat", "feedback_of", "log", "update"]

Body = dict[str, Any]

_PROVIDERS = {
    "openai": "openai",
    "azure": "openai_azure",
    "azure.ai.openai": "openai_azure",
    "openai_azure": "openai_azure",
    "anthropic": "anthropic",
    "aws.bedrock": "bedrock",
    "bedrock": "bedrock",
    "cohere": "cohere",
    "replicate": "replicate",
    "google": "google",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "groq": "groq",
    "mock": "mock",
}
_IN_METADATA = tuple(name for name in ATTRIBUTES if name != "metadata" and name not in SCORES)
_ROLES = frozenset({"user", "assistant", "system", "tool"})
_PLAIN_ROLES = frozenset(role.encode() for role in _ROLES)
_FLOATS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_INTS = {
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens"),
    "seed": ("seed",),
}
_COUNTS = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),
    "output_tokens": ("completion_tokens", "output_tokens"),
}
_COSTS = {
    "prompt_cost": ("prompt_cost",),
    "output_cost": ("completion_cost", "output_cost"),
}


def log(event: Body, project: str) -> Body:
    """A LogRequest for an event, session or turn, without its parent.

    ``event``: its fields; ``inputs`` and ``outputs`` are encoded and go into the log unchanged.
    """
    inputs = event.get("inputs")
    question = chat_payload.input_chat(inputs) if base_of(event) == "model" else None
    answer = _answer(event)
    body: Body = {
        "reference_id": event["event_id"],
        "session_reference_id": event["session_id"],
        "project": project,
        "inputs": orjson.Fragment(inputs) if inputs and inputs.startswith(b"{") else {},
        "config": _config(event, question is not None),
        "metadata": _metadata(event),
        **_results(event, answer),
    }
    if isinstance(event.get("source"), str):
        body["source"] = event["source"]
    if (start := payload.milliseconds(event, "start_time")) is not None:
        body["created_at"] = payload.rfc3339(start)
    if base_of(event) == "model":
        _add_chat(body, question, answer)
        _add_usage(body, event)
    if feedback := feedback_of(event):
        body["feedback"] = feedback
    return body


def update(event: Body) -> Body:
    """An UpdateLogRequest: the three fields that Humanloop can change in a log."""
    return _results(event, _answer(event))


def _answer(event: Body) -> chat_payload.Chat | None:
    return chat_payload.output_chat(event.get("outputs")) if base_of(event) == "model" else None


def _results(event: Body, answer: chat_payload.Chat | None) -> Body:
    body: Body = {}
    if (outputs := event.get("outputs")) is not None:
        body["output"] = orjson.Fragment(_output(outputs, answer))
    if event.get("error") is not None:
        body["error"] = payload.text(event["error"])
    if (took := payload.seconds(event)) is not None:
        body["duration"] = took
    return body


def _output(outputs: bytes, answer: chat_payload.Chat | None) -> bytes:
    """The outputs as one encoded text: a model's message, a single text result, else JSON."""
    if answer is not None and answer.plain:
        return answer.plain[0][1]
    if answer is not None and len(answer.messages) == 1:
        words = answer.messages[0].get("content")
        if isinstance(words, str):
            return orjson.dumps(words)
    lone = chat_payload.lone_text(outputs)
    if lone is not None and lone[0] == b"result":
        return lone[1]
    if outputs.startswith(b'{"result":'):
        decoded = orjson.loads(outputs)
        if len(decoded) == 1:
            return orjson.dumps(payload.text(decoded["result"]))
    return chat_payload.text_of(outputs)


def feedback_of(event: Body) -> list[Body]:
    """Feedback and metrics as Humanloop's feedback entries, without their ``data_id``."""
    entries = {**payload.bucket(event, "metrics"), **payload.bucket(event, "feedback")}
    return [
        {"type": name, "value": _feedback_value(value)}
        for name, value in entries.items()
        if value is not None and name
    ]


def _feedback_value(value: Any) -> bool | int | float | str | list[str]:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return payload.json_text(value)


def _metadata(event: Body) -> Body:
    metadata = dict(payload.bucket(event, "metadata"))
    metadata["event_type"] = payload.text(event.get("event_type") or "chain")
    metadata["event_name"] = payload.text(event.get("event_name") or "unknown")
    for name in _IN_METADATA:
        if entries := payload.bucket(event, name):
            metadata[name] = entries
    return metadata


def _config(event: Body, chat: bool) -> Body:
    if base_of(event) != "model":
        return {"type": "tool", "name": payload.text(event.get("event_name") or "unknown")}
    config = payload.bucket(event, "config")
    parameters = payload.bucket(config, "hyperparameters")
    body: Body = {"type": "model", "model": payload.text(config.get("model") or "unknown")}
    provider = config.get("provider")
    if isinstance(provider, str) and provider.lower() in _PROVIDERS:
        body["provider"] = _PROVIDERS[provider.lower()]
    if chat:
        body["endpoint"] = "chat"
    if not parameters:
        return body
    for name in _FLOATS:
        if (value := payload.number(parameters.get(name))) is not None:
            body[name] = value
    for name, names in _INTS.items():
        whole = next((parameters[key] for key in names if type(parameters.get(key)) is int), None)
        if whole is not None:
            body[name] = whole
    stop = parameters.get("stop", parameters.get("stop_sequences"))
    if isinstance(stop, str) or (
        isinstance(stop, list) and all(isinstance(key, str) for key in stop)
    ):
        body["stop"] = stop
    return body


def _add_usage(body: Body, event: Body) -> None:
    """Add a model call's tokens and cost."""
    entries = {**payload.bucket(event, "metrics"), **payload.bucket(event, "metadata")}
    if not entries:
        return
    for name, names in _COUNTS.items():
        count = next((entries[key] for key in names if type(entries.get(key)) is int), None)
        if count is not None:
            body[name] = count
    for name, places in _COSTS.items():
        cost = next(
            (entries[key] for key in places if payload.number(entries.get(key)) is not None), None
        )
        if cost is not None:
            body[name] = cost


def _add_chat(
    body: Body, question: chat_payload.Chat | None, answer: chat_payload.Chat | None
) -> None:
    """Add a model call's messages, unchanged where they are in Humanloop's form already."""
    if question is not None:
        if _legal(question):
            body["messages"] = orjson.Fragment(question.raw)
        else:
            messages = [chat(message) for message in question.messages]
            if None not in messages:
                body["messages"] = messages
    if answer is not None:
        if _legal(answer):
            body["output_message"] = orjson.Fragment(answer.raw[1:-1])
        elif (message := chat(answer.messages[0])) is not None:
            body["output_message"] = message


def _legal(messages: chat_payload.Chat) -> bool:
    return messages.plain is not None and all(role in _PLAIN_ROLES for role, _ in messages.plain)


def chat(message: Body) -> Body | None:
    """A message in Humanloop's form; None where Humanloop has no form for it."""
    role = message.get("role")
    if role == "developer":
        role = "system"
    if role not in _ROLES:
        return None
    converted: Body = {"role": role}
    content = message.get("content")
    if isinstance(content, str):
        converted["content"] = content
    elif isinstance(content, list):
        parts = [_part(part) for part in content]
        converted["content"] = payload.json_text(content) if None in parts else parts
    elif content is not None:
        converted["content"] = payload.json_text(content)
    for name in ("name", "tool_call_id"):
        if isinstance(message.get(name), str):
            converted[name] = message[name]
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        converted["tool_calls"] = [_tool_call(part) for part in calls]
    return converted


def _part(part: Any) -> Body | None:
    if not isinstance(part, dict):
        return None
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if part.get("type") == "image_url" and isinstance(url, str):
        return {"type": "image_url", "image_url": {"url": url}}
    return None


def _tool_call(entry: Any) -> Body:
    call = entry if isinstance(entry, dict) else {}
    function = call.get("function")
    called = function if isinstance(function, dict) else call
    arguments = called.get("arguments")
    return {
        "id": payload.text(call.get("id") or ""),
        "type": "function",
        "function": {
            "name": payload.text(called.get("name") or "unknown"),
            "arguments": "" if arguments is None else payload.text(arguments),
        },
    }
