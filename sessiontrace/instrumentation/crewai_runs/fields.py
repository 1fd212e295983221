"""Fields of steps from the events of CrewAI's bus, which are read by their public attributes.

    an event that starts               becomes
    ---------------------------------  ----------------------------------------------------------
    crew, flow, method, task           a chain
    agent                              an agent
    llm_call                           a model event; the provider's SDK below contributes to it
    tool_usage, memory_save            a tool event
    knowledge_search, memory_query     a retriever
    llm_guardrail                      a guardrail
    mcp_*, the flow inside an agent    nothing; what runs inside goes to the step around it

Pure functions, in the thread that emits. Invariant: a field that a version lacks is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sessiontrace.instrumentation.core.response_fields import get_field, tool_call, without_none
from sessiontrace.instrumentation.core.token_counts import reported_usage

__all__ = ["Step", "answer_of", "model_config", "outputs_of", "stem_of", "step_of"]

_PARAMETERS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "seed",
    "stop_sequences",
    "frequency_penalty",
    "presence_penalty",
    "n",
)
_TOOLS = frozenset({"tool_usage", "memory_save", "memory_query", "knowledge_search_query"})
_RETRIEVALS = frozenset({"memory_query", "knowledge_search_query"})
_AGENTS = frozenset({"agent_execution", "lite_agent_execution"})


class Step(NamedTuple):
    """How a step opens. ``type``: None where nothing is recorded."""

    type: str | None
    name: str = ""
    inputs: Any = None
    config: Mapping[str, object] | None = None
    metadata: Mapping[str, object] | None = None


def stem_of(event_type: str) -> str:
    """What an event that starts something is about (``llm_call_started``: ``llm_call``)."""
    return event_type.removesuffix("_started")


def step_of(stem: str, source: Any, event: Any) -> Step:
    """The step that opens with an event."""
    if stem.startswith("mcp_") or (stem == "flow" and type(source).__name__ == "AgentExecutor"):
        return Step(None)
    if stem == "llm_call":
        model = _model(event)
        return Step("model", f"chat {model}", {"chat_history": _history(event)})
    name = _name(stem, source, event)
    if stem in _TOOLS:
        config = {"tool_name": name} if stem == "tool_usage" else None
        kind = "retriever" if stem in _RETRIEVALS else "tool"
        return Step(kind, name, _tool_inputs(event), config)
    metadata = {"agent_name": name} if stem in _AGENTS else None
    return Step(_kind(stem), name, _inputs(event), _config(stem, event), metadata)


def model_config(event: Any) -> dict[str, Any]:
    """The configuration of a model call."""
    parameters = {name: getattr(event, name, None) for name in _PARAMETERS}
    model = str(getattr(event, "model", None) or "")
    return without_none(
        {
            "type": "chat",
            "model": _model(event),
            "provider": model.partition("/")[0] if "/" in model else None,
            "hyperparameters": without_none(parameters) or None,
            "tools": getattr(event, "tools", None) or None,
        }
    )


def answer_of(event: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outputs and metadata of a model's answer, which is a text or the tools that it requests."""
    response = event.response
    message: dict[str, Any] = {"role": "assistant", "content": response}
    if isinstance(response, list) and all(get_field(call, "function") for call in response):
        message = {"role": "assistant", "content": None, "tool_calls": _calls(response)}
    elif not isinstance(response, str) and hasattr(response, "model_dump"):
        message["content"] = response.model_dump(mode="json")
    metadata = {
        "finish_reason": getattr(event, "finish_reason", None),
        "response_id": getattr(event, "response_id", None),
    }
    return message, {
        **reported_usage(getattr(event, "usage", None)),
        **without_none(metadata),
    }


def outputs_of(event: Any) -> Any:
    """What a step gave; None where the event says nothing."""
    for name in ("output", "result", "results", "retrieved_knowledge", "plan", "memory_content"):
        value = getattr(event, name, None)
        if value is not None:
            return _plain(value)
    return None


def _calls(calls: Any) -> list[dict[str, Any]]:
    return [
        tool_call(
            get_field(call, "id"),
            get_field(get_field(call, "function"), "name"),
            get_field(get_field(call, "function"), "arguments"),
        )
        for call in calls
    ]


def _plain(value: Any) -> Any:
    """An output of a crew or task: its object where it has one, or else its text."""
    raw = getattr(value, "raw", None)
    if raw is None:
        return value
    pydantic = getattr(value, "pydantic", None)
    if pydantic is not None:
        return pydantic.model_dump(mode="json")
    return getattr(value, "json_dict", None) or raw


def _model(event: Any) -> str:
    return str(getattr(event, "model", None) or "").rpartition("/")[2]


def _history(event: Any) -> Any:
    messages = getattr(event, "messages", None)
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def _name(stem: str, source: Any, event: Any) -> str:
    names = (
        getattr(event, "tool_name", None),
        getattr(event, "method_name", None),
        getattr(event, "flow_name", None) if stem == "flow" else None,
        getattr(event, "crew_name", None),
        _task_name(event) if stem == "task" else None,
        get_field(getattr(event, "agent", None), "role") if stem.startswith("agent") else None,
        get_field(getattr(event, "agent_info", None), "role"),
    )
    name = next((name for name in names if name), None)
    if stem == "agent_reasoning" or name is None:
        return stem
    return str(name).strip()


def _task_name(event: Any) -> Any:
    task = getattr(event, "task", None)
    return get_field(task, "name") or "task"


def _tool_inputs(event: Any) -> Any:
    arguments = getattr(event, "tool_args", None)
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return {"arguments": arguments}
    if arguments is not None:
        return arguments
    fields = {name: getattr(event, name, None) for name in ("query", "value", "limit", "metadata")}
    return without_none(fields) or None


def _inputs(event: Any) -> dict[str, Any] | None:
    task = getattr(event, "task", None) if not hasattr(event, "task_prompt") else None
    messages = getattr(event, "messages", None)
    fields = {
        "inputs": getattr(event, "inputs", None),
        "params": getattr(event, "params", None) or None,
        "prompt": getattr(event, "task_prompt", None),
        "description": get_field(task, "description"),
        "expected_output": get_field(task, "expected_output"),
        "context": getattr(event, "context", None) or None,
        "messages": messages,
    }
    return without_none(fields) or None


def _config(stem: str, event: Any) -> dict[str, Any] | None:
    tools = getattr(event, "tools", None)
    agent = getattr(event, "agent", None)
    fields = {
        "tools": [str(get_field(tool, "name")) for tool in tools] if tools else None,
        "model": get_field(get_field(agent, "llm"), "model") if stem.startswith("agent") else None,
    }
    return without_none(fields) or None


def _kind(stem: str) -> str:
    if stem == "llm_guardrail":
        return "guardrail"
    return "agent" if stem in _AGENTS else "chain"
