"""A record as a Humanloop v4 log, feedback or update: fields only, nothing about batches.

Pure functions, no thread owns them. Invariant: what is made here is legal by Humanloop's v4
OpenAPI document (October 2024) whatever the record's buckets hold.
"""

from __future__ import annotations

from typing import Any

from sessiontrace import genai
from sessiontrace.vendors import forms

__all__ = ["chat", "feedback_of", "log", "output_of", "update"]

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
    """A LogRequest for a decoded event, session or turn; without its parent."""
    body: Body = {
        "reference_id": event["event_id"],
        "session_reference_id": event["session_id"],
        "project": project,
        "inputs": forms.bucket(event, "inputs"),
        "config": _config(event),
        "metadata": _metadata(event),
        **update(event),
    }
    if isinstance(event.get("source"), str):
        body["source"] = event["source"]
    if (start := forms.milliseconds(event, "start_time")) is not None:
        body["created_at"] = forms.rfc3339(start)
    if event.get("event_type") == "model":
        body.update(_call(event))
    if found := feedback_of(event):
        body["feedback"] = found
    return body


def update(event: Body) -> Body:
    """An UpdateLogRequest: all that Humanloop changes in a log that it has."""
    body: Body = {}
    if (output := output_of(event)) is not None:
        body["output"] = output
    if event.get("error") is not None:
        body["error"] = forms.text(event["error"])
    if (took := forms.seconds(event)) is not None:
        body["duration"] = took
    return body


def output_of(event: Body) -> str | None:
    """The outputs as one text: a model's words, a lone text result, else JSON."""
    outputs = event.get("outputs")
    if outputs is None:
        return None
    said = genai.choices(event) if event.get("event_type") == "model" else None
    if said and len(said) == 1 and isinstance(said[0].get("content"), str):
        return str(said[0]["content"])
    if isinstance(outputs, dict) and outputs.keys() == {"result"}:
        return forms.text(outputs["result"])
    return forms.text(outputs)


def feedback_of(event: Body) -> list[Body]:
    """Feedback and metrics as Humanloop's feedback entries, without their ``data_id``."""
    held = {**forms.bucket(event, "metrics"), **forms.bucket(event, "feedback")}
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
    return forms.json_text(value)


def _metadata(event: Body) -> Body:
    found = dict(forms.bucket(event, "metadata"))
    found["event_type"] = forms.text(event.get("event_type") or "chain")
    found["event_name"] = forms.text(event.get("event_name") or "unknown")
    for part in ("config", "user_properties"):
        if held := forms.bucket(event, part):
            found[part] = held
    return found


def _config(event: Body) -> Body:
    if event.get("event_type") != "model":
        return {"type": "tool", "name": forms.text(event.get("event_name") or "unknown")}
    config = forms.bucket(event, "config")
    parameters = forms.bucket(config, "hyperparameters")
    found: Body = {"type": "model", "model": forms.text(config.get("model") or "unknown")}
    provider = config.get("provider")
    if isinstance(provider, str) and provider.lower() in _PROVIDERS:
        found["provider"] = _PROVIDERS[provider.lower()]
    if genai.messages(event) is not None:
        found["endpoint"] = "chat"
    for name in _FLOATS:
        if (given := forms.number(parameters.get(name))) is not None:
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


def _call(event: Body) -> Body:
    """What only a model call has: its chat, its tokens, its cost."""
    found: Body = {}
    asked = genai.messages(event)
    if asked is not None:
        plain = [chat(one) for one in asked]
        if None not in plain:
            found["messages"] = plain
    said = genai.choices(event)
    if said and (message := chat(said[0])) is not None:
        found["output_message"] = message
    held = {**forms.bucket(event, "metrics"), **forms.bucket(event, "metadata")}
    for name, names in _COUNTS.items():
        count = next((held[one] for one in names if type(held.get(one)) is int), None)
        if count is not None:
            found[name] = count
    for name, places in _COSTS.items():
        cost = next((held[one] for one in places if forms.number(held.get(one)) is not None), None)
        if cost is not None:
            found[name] = cost
    return found


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
        found["content"] = forms.json_text(content) if None in parts else parts
    elif content is not None:
        found["content"] = forms.json_text(content)
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
        "id": forms.text(given.get("id") or ""),
        "type": "function",
        "function": {
            "name": forms.text(called.get("name") or "unknown"),
            "arguments": "" if arguments is None else forms.text(arguments),
        },
    }
