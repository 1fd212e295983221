"""Coding agents, mostly by their log records: Claude Code, Codex CLI, Gemini CLI, Qwen Code.

Pure functions over a draft, no thread owns them. A log record comes as a span of its name. Sources:
"Monitoring" in Claude Code's documents, ``docs/config.md`` of Codex, ``docs/telemetry.md`` of
Gemini CLI, and the programs themselves. Forks of Gemini CLI have its names after their own. Claude
Code counts cached tokens beside the input, Gemini CLI thoughts beside the output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sessiontrace.wire.dialects.chat_shapes import answers_of, chat_of, joined
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["CODING_AGENT", "is_coding_agent", "is_progress"]

_FORKS = ("gemini-cli", "qwen-code")
_SCOPES = ("com.anthropic.claude_code", "claude_code", "claude-code", "codex", *_FORKS)
_NAME = re.compile(r"(?:claude_code|codex|[a-z]+[-_](?:cli|code))\.")
_FORK_NAME = re.compile(r"(?!claude_code\.)[a-z]+[-_](?:cli|code)\.")
_PROMPTS = frozenset({"user_prompt", "interaction", "assistant_response"})
_BODIES = frozenset({"api_request_body", "api_response_body"})
_MODELS = frozenset({"api_request", "api_error", "api_response", "sse_event", "llm_request"})
_TOOLS = frozenset({"tool_result", "tool_call", "tool"})
_PARTS = frozenset({"tool.execution", "tool.blocked_on_user"})
_DETAILS = "gen_ai.client.inference.operation.details"
_COMMON = {
    "conversation.id": "gen_ai.conversation.id",
    "user.account_id": "user.id",
    "user.account_uuid": "user.id",
    "user.email": "user.id",
}
_MODEL = {
    "model": "gen_ai.request.model",
    "cost_usd": "gen_ai.usage.cost",
    "request_id": "gen_ai.response.id",
    "stop_reason": "gen_ai.response.finish_reasons",
    "finish_reasons": "gen_ai.response.finish_reasons",
    "output_tokens": "gen_ai.usage.output_tokens",
    "output_token_count": "gen_ai.usage.output_tokens",
    "input_token_count": "gen_ai.usage.input_tokens",
    "cached_token_count": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_token_count": "gen_ai.usage.cache_write.input_tokens",
    "cached_content_token_count": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_token_count": "gen_ai.usage.reasoning.output_tokens",
    "thoughts_token_count": "gen_ai.usage.reasoning.output_tokens",
    "total_token_count": "gen_ai.usage.total_tokens",
}
_TOOL = {
    "tool_name": "gen_ai.tool.name",
    "function_name": "gen_ai.tool.name",
    "tool_use_id": "gen_ai.tool.call.id",
    "call_id": "gen_ai.tool.call.id",
    "tool_input": "gen_ai.tool.call.arguments",
    "tool_parameters": "gen_ai.tool.call.arguments",
    "arguments": "gen_ai.tool.call.arguments",
    "function_args": "gen_ai.tool.call.arguments",
    "output": "gen_ai.tool.call.result",
}
_OF_TOOLS = {"file_path": "file_path", "full_command": "command", "skill_name": "skill",
             "subagent_type": "subagent_type"}  # fmt: skip
"""Arguments that Claude Code's spans of tools have, by their names in the tools."""


def is_coding_agent(scope: str, name: str) -> bool:
    """Whether a span or log record is a coding agent's, by its scope or its name."""
    return scope.startswith(_SCOPES) or _NAME.match(name) is not None


def is_step(scope: str, name: str) -> bool:
    """Whether a log record is a step, though it is in a span.

    The spans of Codex CLI and Gemini CLI are of their own functions; Claude Code's are the steps.
    """
    kind = _kind(name)
    is_of_fork = scope.startswith(_FORKS)  # whose requests have the chat, which replies lack
    is_step = is_of_fork or (scope.startswith("codex") and kind != "api_request")
    return is_step and kind in _PROMPTS | _MODELS | _TOOLS


def call_key(scope: str, body: Any, attributes: Mapping[str, Any]) -> list[str] | None:
    """What distinguishes the calls of Gemini CLI, of which two log records say their parts.

    ``api_response`` has the counts, the details have the chat; both have the same time, and their
    texts the same model, status and duration.
    """
    at = attributes.get("event.timestamp")
    text = body.partition(" from ")[2] if isinstance(body, str) else ""
    is_call = scope.startswith(_FORKS) and isinstance(at, str) and "Duration" in text
    return [str(at), text] if is_call else None


def prompt_of(scope: str, name: str, attributes: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The id of the prompt that a log record is about, and whether it is the prompt itself.

    Claude Code and Gemini CLI name it in what their agents do for it.
    """
    prompt = attributes.get("prompt_id") or attributes.get("prompt.id")
    if not isinstance(prompt, str) or not is_coding_agent(scope, name):
        return None
    return prompt, _kind(name) == "user_prompt"


def is_progress(name: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a log record says how far a start or an answer is, and counts nothing.

    So do the records of a fork about itself: its configuration, its routing and the like.
    """
    if any(
        key.startswith("error") and value not in (None, "") for key, value in attributes.items()
    ):
        return False
    if _FORK_NAME.match(name) is not None:
        return _kind(name) not in _PROMPTS | _MODELS | _TOOLS
    return name in _PROGRESS and "input_token_count" not in attributes


_PROGRESS = frozenset(
    {"codex.sse_event", "codex.websocket_event", "codex.startup_phase", "codex.turn_ttft"}
)


def _translate(draft: Draft) -> None:
    kind = _kind(draft.span.name)
    draft.rename(_COMMON)
    for name in [name for name, value in draft.attributes.items() if value is None]:
        draft.take(name)
    if kind in _PROMPTS:
        _translate_prompt(draft)
    elif kind in _MODELS and _is_call(draft, kind):
        draft.offer("gen_ai.operation.name", "chat")
        _translate_call(draft)
    elif kind in _TOOLS:
        draft.offer("gen_ai.operation.name", "execute_tool")
        draft.rename(_TOOL)
        _translate_tool(draft)
    elif kind in _PARTS:
        draft.offer("openinference.span.kind", "CHAIN")
    elif kind in _BODIES or kind == "api_request":
        _translate_bodies(draft)
    elif kind == _DETAILS:
        _translate_details(draft)
    if kind in _MODELS | _TOOLS | _PARTS:
        _translate_failure(draft)


def _kind(name: str) -> str:
    match = _NAME.match(name)
    return name if match is None else name[match.end() :]


def _is_call(draft: Draft, kind: str) -> bool:
    """Whether the record says what a call of a model used, of the several that describe it."""
    if kind in ("sse_event", "api_request"):
        return any(name in draft.attributes for name in ("input_token_count", "input_tokens"))
    return True


def _translate_prompt(draft: Draft) -> None:
    for name in ("prompt", "user_prompt"):
        if isinstance(prompt := draft.get(name), str) and prompt:
            draft.take(name)
            draft.offer("gen_ai.input.messages", [{"role": "user", "content": prompt}])
    if isinstance(text := draft.take("response"), str):
        draft.offer("gen_ai.output.messages", [{"role": "assistant", "content": text}])
    if draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", "CHAIN")


def _translate_call(draft: Draft) -> None:
    counts = {name: _count(draft.take(name)) for name in _ANTHROPIC}
    if counts["input_tokens"] is not None:  # beside those from the cache and into it
        whole = sum(count or 0 for count in counts.values())
        draft.offer("gen_ai.usage.input_tokens", whole)
    draft.offer("gen_ai.usage.cache_read.input_tokens", counts["cache_read_tokens"])
    draft.offer("gen_ai.usage.cache_write.input_tokens", counts["cache_creation_tokens"])
    draft.rename(_MODEL)
    _count_thoughts(draft)
    if isinstance(first := draft.get("ttft_ms"), (int, float)):
        draft.offer("gen_ai.response.time_to_first_chunk", first / 1000)
        draft.take("ttft_ms")
    _translate_bodies(draft)
    if (text := draft.take("response_text")) is not None:
        pieces = json_value(text)
        pieces = pieces if isinstance(pieces, list) else [text]
        answers = [answer for piece in pieces for answer in answers_of(piece) or ()]
        draft.offer("gen_ai.output.messages", [joined(answers)] if answers else text)


def _translate_tool(draft: Draft) -> None:
    """Offer what Claude Code's span of a tool has of the tool's arguments, and its output."""
    names = [name for name in _OF_TOOLS if name in draft.attributes]
    arguments = {_OF_TOOLS[name]: draft.get(name) for name in names}
    if arguments and draft.offer("gen_ai.tool.call.arguments", arguments):
        for name in names:
            draft.take(name)
    events = draft.span.events
    outputs = [dict(attributes) for name, attributes in events if name == "tool.output"]
    if len(outputs) == 1:
        (output,) = outputs
        result = output.get("content", output.get("output", output))
        if draft.offer("gen_ai.tool.call.result", result):
            events[:] = [event for event in events if event[0] != "tool.output"]


def _translate_bodies(draft: Draft) -> None:
    """Offer the chats in a request's and a reply's body, which stay where they were cut."""
    if draft.get("gen_ai.operation.name") is None:
        draft.offer("openinference.span.kind", "CHAIN")
    read, side = (
        (answers_of, "output") if draft.span.name.endswith("response_body") else (chat_of, "input")
    )
    for name in ("request_text", "body"):
        body = json_value(draft.get(name))
        messages = read(body) if isinstance(body, (dict, list)) else None
        if messages and draft.offer(f"gen_ai.{side}.messages", messages):
            draft.take(name)


def _translate_details(draft: Draft) -> None:
    """Gemini CLI says that the system answers."""
    answers = json_value(draft.get("gen_ai.output.messages"))
    if isinstance(answers, list):
        draft.attributes["gen_ai.output.messages"] = [
            {**answer, "role": "assistant"} if isinstance(answer, dict) else answer
            for answer in answers
        ]


def _count_thoughts(draft: Draft) -> None:
    """Count thoughts in the output where the total says that they are beside it."""
    names = ("input_tokens", "output_tokens", "reasoning.output_tokens")
    counts = [_count(draft.get(f"gen_ai.usage.{name}")) or 0 for name in names]
    if counts[1] and _count(draft.get("gen_ai.usage.total_tokens")) == sum(counts):
        draft.attributes["gen_ai.usage.output_tokens"] = counts[1] + counts[2]


_ANTHROPIC = ("input_tokens", "cache_read_tokens", "cache_creation_tokens")


def _count(value: Any) -> int | None:
    number = whole_json(value)
    return int(number) if type(number) in (int, float) else None


def _translate_failure(draft: Draft) -> None:
    error = draft.get("error") or draft.get("error.message")
    if str(draft.take("success")).lower() == "false" or draft.span.name.endswith("api_error"):
        draft.span.failed = True
        draft.span.message = draft.span.message or (error if isinstance(error, str) else "failed")


CODING_AGENT = Dialect(frozenset(), _translate)
