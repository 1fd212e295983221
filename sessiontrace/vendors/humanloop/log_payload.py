"""A record as a Humanloop v4 log, feedback or update: fields only, nothing about batches.

Pure functions, no thread owns them. Invariant: what is made here is legal by Humanloop's v4
OpenAPI document (October 2024) whatever the record's buckets hold.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.vendors.shared import chat_payload, payload

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
    """A LogRequest for an event, session or turn; without its parent.

    ``event``: its fields, whose ``inputs`` and ``outputs`` are encoded and go into the log as such.
    """
    inputs = event.get("inputs")
    asked = chat_payload.asked(inputs) if event.get("event_type") == "model" else None
    said = _answered(event)
    body: Body = {
        "reference_id": event["event_id"],
        "session_reference_id": event["session_id"],
        "project": project,
        "inputs": orjson.Fragment(inputs) if inputs and inputs.startswith(b"{") else {},
        "config": _config(event, asked is not None),
        "metadata": _metadata(event),
        **_results(event, said),
    }
    if isinstance(event.get("source"), str):
        body["source"] = event["source"]
    if (start := payload.milliseconds(event, "start_time")) is not None:
        body["created_at"] = payload.rfc3339(start)
    if event.get("event_type") == "model":
        _add_chat(body, asked, said)
        _add_usage(body, event)
    if found := feedback_of(event):
        body["feedback"] = found
    return body


def update(event: Body) -> Body:
    """An UpdateLogRequest: all that Humanloop changes in a log that it has."""
    return _results(event, _answered(event))


def _answered(event: Body) -> chat_payload.Chat | None:
    return (
        chat_payload.answered(event.get("outputs")) if event.get("event_type") == "model" else None
    )


def _results(event: Body, said: chat_payload.Chat | None) -> Body:
    body: Body = {}
    if (outputs := event.get("outputs")) is not None:
        body["output"] = orjson.Fragment(_output(outputs, said))
    if event.get("error") is not None:
        body["error"] = payload.text(event["error"])
    if (took := payload.seconds(event)) is not None:
        body["duration"] = took
    return body


def _output(outputs: bytes, said: chat_payload.Chat | None) -> bytes:
    """The outputs as one text, encoded: a model's words, a lone text result, else JSON."""
    if said is not None and said.plain:
        return said.plain[0][1]
    if said is not None and len(said.messages) == 1:
        words = said.messages[0].get("content")
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
    held = {**payload.bucket(event, "metrics"), **payload.bucket(event, "feedback")}
    return [
        {"type": name, "value": _feedback_value(value)}
        for name, value in held.items()
        if value is not None and name
    ]


def _feedback_value(value: Any) -> bool | int | float | str | list[str]:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    return payload.json_text(value)


def _metadata(event: Body) -> Body:
    found = dict(payload.bucket(event, "metadata"))
    found["event_type"] = payload.text(event.get("event_type") or "chain")
    found["event_name"] = payload.text(event.get("event_name") or "unknown")
    for part in ("config", "user_properties"):
        if held := payload.bucket(event, part):
            found[part] = held
    return found


def _config(event: Body, chat: bool) -> Body:
    if event.get("event_type") != "model":
        return {"type": "tool", "name": payload.text(event.get("event_name") or "unknown")}
    config = payload.bucket(event, "config")
    parameters = payload.bucket(config, "hyperparameters")
    found: Body = {"type": "model", "model": payload.text(config.get("model") or "unknown")}
    provider = config.get("provider")
    if isinstance(provider, str) and provider.lower() in _PROVIDERS:
        found["provider"] = _PROVIDERS[provider.lower()]
    if chat:
        found["endpoint"] = "chat"
    if not parameters:
        return found
    for name in _FLOATS:
        if (given := payload.number(parameters.get(name))) is not None:
            found[name] = given
    for name, names in _INTS.items():
        whole = next((parameters[one] for one in names if type(parameters.get(one)) is int), None)
        if whole is not None:
            found[name] = whole
    stop = parameters.get("stop", parameters.get("stop_sequences"))
    if isinstance(stop, str) or (
        isinstance(stop, list) and all(isinstance(one, str) for one in stop)
    ):
        found["stop"] = stop
    return found


def _add_usage(body: Body, event: Body) -> None:
    """A model call's tokens and cost."""
    held = {**payload.bucket(event, "metrics"), **payload.bucket(event, "metadata")}
    if not held:
        return
    for name, names in _COUNTS.items():
        count = next((held[one] for one in names if type(held.get(one)) is int), None)
        if count is not None:
            body[name] = count
    for name, places in _COSTS.items():
        cost = next(
            (held[one] for one in places if payload.number(held.get(one)) is not None), None
        )
        if cost is not None:
            body[name] = cost


def _add_chat(body: Body, asked: chat_payload.Chat | None, said: chat_payload.Chat | None) -> None:
    """A model call's messages, in their own bytes where they are in Humanloop's form already."""
    if asked is not None:
        if _legal(asked):
            body["messages"] = orjson.Fragment(asked.raw)
        else:
            messages = [chat(one) for one in asked.messages]
            if None not in messages:
                body["messages"] = messages
    if said is not None:
        if _legal(said):
            body["output_message"] = orjson.Fragment(said.raw[1:-1])
        elif (message := chat(said.messages[0])) is not None:
            body["output_message"] = message


def _legal(told: chat_payload.Chat) -> bool:
    return told.plain is not None and all(role in _PLAIN_ROLES for role, _ in told.plain)


def chat(message: Body) -> Body | None:
    """A message in Humanloop's form; None for one that it has no form for."""
    role = message.get("role")
    if role == "developer":
        role = "system"
    if role not in _ROLES:
        return None
    found: Body = {"role": role}
    content = message.get("content")
    if isinstance(content, str):
        found["content"] = content
    elif isinstance(content, list):
        parts = [_part(one) for one in content]
        found["content"] = payload.json_text(content) if None in parts else parts
    elif content is not None:
        found["content"] = payload.json_text(content)
    for name in ("name", "tool_call_id"):
        if isinstance(message.get(name), str):
            found[name] = message[name]
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        found["tool_calls"] = [_tool_call(one) for one in calls]
    return found


def _part(one: Any) -> Body | None:
    if not isinstance(one, dict):
        return None
    if one.get("type") == "text" and isinstance(one.get("text"), str):
        return {"type": "text", "text": one["text"]}
    image = one.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if one.get("type") == "image_url" and isinstance(url, str):
        return {"type": "image_url", "image_url": {"url": url}}
    return None


def _tool_call(one: Any) -> Body:
    given = one if isinstance(one, dict) else {}
    function = given.get("function")
    called = function if isinstance(function, dict) else given
    arguments = called.get("arguments")
    return {
        "id": payload.text(given.get("id") or ""),
        "type": "function",
        "function": {
            "name": payload.text(called.get("name") or "unknown"),
            "arguments": "" if arguments is None else payload.text(arguments),
        },
    }
