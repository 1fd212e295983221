"""The text completions API, which chat completions replaced: answers and chunks.

Pure functions, on the thread of the call. Invariant: an answer has the shape of a chat completion.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import get_field, other_fields
from sessiontrace.instrumentation.openai_family.chat_format import ChatAssembler, chat_answer


def text_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole text completion (the legacy API)."""
    return chat_answer(_as_chat(result, "message"))


class TextAssembler(ChatAssembler):
    """A text completion from its chunks."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """Keep one chunk, as if its text were the content of a delta."""
        super().add(_as_chat(chunk, "delta"))


def _as_chat(result: Any, name: str) -> dict[str, Any]:
    """A text completion or its chunk in the form of a chat completion: ``name`` has the text.

    Cerebras says at the top of a chunk why it ended.
    """
    reason = get_field(result, "finish_reason")
    choices = [
        {
            "finish_reason": reason,
            name: {"content": get_field(choice, "text")},
            **other_fields(choice, frozenset({"text"})),
        }
        for choice in get_field(result, "choices") or ()
    ]
    return {**other_fields(result, frozenset({"finish_reason"})), "choices": choices}
