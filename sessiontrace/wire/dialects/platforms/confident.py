"""DeepEval's names on spans for Confident AI, ``confident.span.input`` and the like.

Pure functions over a draft, no thread owns them. Source: ``deepeval.tracing.otel.attributes``.
"""

from __future__ import annotations

from sessiontrace.wire.dialects.calls import offer_inputs, offer_outputs
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.value_tree import json_value

__all__ = ["CONFIDENT"]

_KINDS = {"llm": "LLM", "agent": "AGENT", "tool": "TOOL", "retriever": "RETRIEVER"}
_NAMES = {
    "confident.trace.name": "session.name",
    "confident.trace.thread_id": "session.id",
    "confident.trace.user_id": "user.id",
    "confident.trace.tags": "tag.tags",
    "confident.span.provider": "gen_ai.provider.name",
    "confident.llm.model": "gen_ai.request.model",
    "confident.llm.input_token_count": "gen_ai.usage.input_tokens",
    "confident.llm.output_token_count": "gen_ai.usage.output_tokens",
    "confident.agent.name": "gen_ai.agent.name",
    "confident.agent.tool_definitions": "gen_ai.tool.definitions",
    "confident.tool.name": "gen_ai.tool.name",
    "confident.span.expected_output": "sessiontrace.feedback.ground_truth",
}


def _translate(draft: Draft) -> None:
    kind = draft.get("confident.span.type")
    if draft.get("gen_ai.operation.name") is None and isinstance(kind, str):
        draft.offer("openinference.span.kind", _KINDS.get(kind, "CHAIN"))
        draft.take("confident.span.type")
    draft.rename(_NAMES)
    if isinstance(name := draft.take("confident.span.name"), str) and name:
        draft.span.name = name
    for place in ("trace", "span"):
        if isinstance(metadata := json_value(draft.get(f"confident.{place}.metadata")), dict):
            draft.take(f"confident.{place}.metadata")
            draft.offer_metadata(metadata)
    for place in ("span", "trace"):  # those of the trace are its root's
        offer_inputs(draft, draft.take(f"confident.{place}.input"), chat_of_step=True)
        offer_outputs(draft, draft.take(f"confident.{place}.output"))


CONFIDENT = Dialect(frozenset({"confident"}), _translate)
