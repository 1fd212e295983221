"""What the application does and says, from which the table's rows follow; values only."""

from __future__ import annotations

import os
from typing import Any

__all__ = [
    "ANSWERS",
    "CONVERSATION",
    "DOCUMENTS",
    "LATE_SCORE",
    "METADATA",
    "MODEL",
    "PLACES",
    "QUESTIONS",
    "SCORE",
    "TAGS",
    "TEMPERATURE",
    "TOOLS",
    "USAGE",
    "USER",
]

CONVERSATION = os.environ.get("OTEL_CONVERSATION", "trip-42")
USER = "ada"
TAGS = ["travel", "demo"]
METADATA = {"plan": "pro"}
SCORE = ("helpful", 0.9, "answered at once")
LATE_SCORE = ("solved", 1.0)
MODEL = "gpt-4o-mini"
TEMPERATURE = 0.2
PLACES = {"Oslo": 7}

QUESTIONS = (
    "What is the weather in Oslo?",
    "And what is the weather in Atlantis?",
    "Thanks, which of them shall I visit?",
)
ANSWERS = (
    "It is 7 degrees in Oslo.",
    "There is no weather station in Atlantis.",
    "Visit Oslo, it can be found.",
)
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "doc-1", "content": "Oslo has fjords.", "score": 0.8},
    {"id": "doc-2", "content": "Atlantis is hard to find.", "score": 0.4},
]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 18,
    "total_tokens": 138,
    "prompt_tokens_details": {"cached_tokens": 50},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
"""What the model says of each chat."""
