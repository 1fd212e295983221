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
        base + path: endpoint
        for base in ("/v1", "")  # before version 3 it was part of the base URL
        for path, endpoint in {
            "/chat/completions": CHAT_COMPLETIONS,
            "/completions": COMPLETIONS,
            "/embeddings": EMBEDDINGS,
            "/rerank": RERANK,
            "/images/generations": IMAGES,
            "/audio/speech": SPEECH,
            "/audio/transcriptions": TRANSCRIPTION,
            "/audio/translations": TRANSLATION,
        }.items()
    }
    fetches: ClassVar[tuple[Fetch, ...]] = (BATCH_FILE,)


ENTRY = Entry(name="together", target="together._base_client", make=Together)
