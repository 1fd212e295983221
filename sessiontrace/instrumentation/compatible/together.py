"""together: text, embeddings, ranks, images and sound.

The mechanism is ``StainlessSdk``. Invariant: other endpoints are left alone.
"""

from __future__ import annotations

from typing import ClassVar

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.openai_family.endpoints import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    IMAGES,
    RERANK,
    SPEECH,
    TRANSCRIPTION,
    TRANSLATION,
    Endpoint,
)
from sessiontrace.instrumentation.openai_family.fetched_results import (
    BATCH_FILE,
    Fetch,
)
from sessiontrace.instrumentation.openai_family.stainless_sdk import StainlessSdk


class Together(StainlessSdk):
    """The instrumentor of together."""

    provider = "together"
    endpoints: ClassVar[dict[str, Endpoint]] = {
        "/v1/chat/completions": CHAT_COMPLETIONS,
        "/v1/completions": COMPLETIONS,
        "/v1/embeddings": EMBEDDINGS,
        "/v1/rerank": RERANK,
        "/v1/images/generations": IMAGES,
        "/v1/audio/speech": SPEECH,
        "/v1/audio/transcriptions": TRANSCRIPTION,
        "/v1/audio/translations": TRANSLATION,
    }
    fetches: ClassVar[tuple[Fetch, ...]] = (BATCH_FILE,)


ENTRY = Entry(name="together", target="together._base_client", make=Together)
