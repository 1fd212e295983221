"""groq: text, embeddings and sound, under paths of its own.

The mechanism is ``StainlessSdk``. Invariant: other endpoints are left alone.
"""

from __future__ import annotations

from typing import ClassVar

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.openai_family.endpoints import (
    CHAT_COMPLETIONS,
    EMBEDDINGS,
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


class Groq(StainlessSdk):
    """The instrumentor of groq."""

    provider = "groq"
    endpoints: ClassVar[dict[str, Endpoint]] = {
        "/openai/v1/chat/completions": CHAT_COMPLETIONS,
        "/openai/v1/embeddings": EMBEDDINGS,
        "/openai/v1/audio/speech": SPEECH,
        "/openai/v1/audio/transcriptions": TRANSCRIPTION,
        "/openai/v1/audio/translations": TRANSLATION,
    }
    fetches: ClassVar[tuple[Fetch, ...]] = (BATCH_FILE,)


ENTRY = Entry(name="groq", target="groq._base_client", make=Groq)
