"""openai: text, images, sound, embeddings, moderation and decisions; on Azure too.

The mechanism is ``StainlessSdk``. Invariant: other endpoints are left alone.
"""

from __future__ import annotations

from typing import ClassVar

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.openai_family.endpoints import (
    CHAT_COMPLETIONS,
    COMPACTION,
    COMPLETIONS,
    DECISIONS,
    EMBEDDINGS,
    IMAGES,
    MODERATION,
    RESPONSES,
    SPEECH,
    TRANSCRIPTION,
    TRANSLATION,
    Endpoint,
)
from sessiontrace.instrumentation.openai_family.fetched_results import (
    BACKGROUND_RESPONSE,
    BATCH_FILE,
    Fetch,
)
from sessiontrace.instrumentation.openai_family.stainless_sdk import StainlessSdk


class OpenAI(StainlessSdk):
    """The instrumentor of openai."""

    provider = "openai"
    endpoints: ClassVar[dict[str, Endpoint]] = {
        "/chat/completions": CHAT_COMPLETIONS,
        "/responses": RESPONSES,
        "/responses/compact": COMPACTION,
        "/embeddings": EMBEDDINGS,
        "/completions": COMPLETIONS,
        "/images/generations": IMAGES,
        "/images/edits": IMAGES,
        "/images/variations": IMAGES,
        "/audio/speech": SPEECH,
        "/audio/transcriptions": TRANSCRIPTION,
        "/audio/translations": TRANSLATION,
        "/moderations": MODERATION,
        "/decisions": DECISIONS,
    }
    fetches: ClassVar[tuple[Fetch, ...]] = (BACKGROUND_RESPONSE, BATCH_FILE)
    client_providers: ClassVar[dict[str, str]] = {
        "AzureOpenAI": "azure.ai.openai",
        "BedrockOpenAI": "aws.bedrock",
    }


ENTRY = Entry(name="openai", target="openai._base_client", make=OpenAI)
