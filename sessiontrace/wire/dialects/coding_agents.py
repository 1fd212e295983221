"""Coding agents: Claude Code, Codex CLI and Gemini CLI, whose telemetry is mostly log records.

Pure functions over a draft, no thread owns them. A log record comes as a span of its name. Sources:
"Monitoring" in Claude Code's documents, ``docs/config.md`` of Codex and ``docs/telemetry.md`` of
Gemini CLI. Claude Code counts cached tokens beside the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value, whole_json

__all__ = ["CODING_AGENT", "is_coding_agent", "is_progress"]

_SCOPES = ("com.anthropic.claude_code", "claude_code", "claude-code", "codex", "gemini-cli")
_NAMES = ("claude_code.", "codex.", "gemini_cli.")
_PROMPTS = frozenset({"user_prompt", "interaction"})
_MODELS = frozenset({"api_request", "api_error", "api_response", "sse_event", "llm_request"})
_TOOLS = frozenset({"tool_result", "tool_call", "tool", "tool.execution"})
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


def is_coding_agent(scope: str, name: str) -> bool:
    """Whether a span or log record is a coding agent's, by its scope or its name."""
    return scope.startswith(_SCOPES) or name.startswith(_NAMES)


def is_progress(name: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a log record says how far a start or an answer is, and counts nothing."""
    is_quiet = not any(name.startswith("error") for name in attributes)
    return name in _PROGRESS and "input_token_count" not in attributes and is_quiet


_PROGRESS = frozenset(
    {"codex.sse_event", "codex.websocket_event", "codex.startup_phase", "codex.turn_ttft"}
)


def _translate(draft: Draft) -> None:
    kind = next((draft.span.name[len(name) :] for name in _NAMES
                 if draft.span.name.startswith(name)), draft.span.name)  # fmt: skip
    draft.rename(_COMMON)
    if kind in _PROMPTS:
        _translate_prompt(draft)
    elif kind in _MODELS and _is_call(draft, kind):
        draft.offer("gen_ai.operation.name", "chat")
        _translate_call(draft)
    elif kind in _TOOLS:
        draft.offer("gen_ai.operation.name", "execute_tool")
        draft.rename(_TOOL)
    if kind in _MODELS | _TOOLS:
        _translate_failure(draft)


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
    if isinstance(first := draft.get("ttft_ms"), (int, float)):
        draft.offer("gen_ai.response.time_to_first_chunk", first / 1000)
        draft.take("ttft_ms")
    for name, side in (("request_text", "input"), ("response_text", "output")):
        if (text := draft.take(name)) is not None:
            role = "user" if side == "input" else "assistant"
            content = json_value(text)
            messages = content if isinstance(content, list) else [{"role": role, "content": text}]
            draft.offer(f"gen_ai.{side}.messages", messages)


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
