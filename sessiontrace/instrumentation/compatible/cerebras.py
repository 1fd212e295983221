"""cerebras: chat and text completions.

The mechanism is ``StainlessSdk``. Invariant: other endpoints are left alone.
"""

from __future__ import annotations

from typing import ClassVar

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.openai_family.endpoints import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    Endpoint,
)
from sessiontrace.instrumentation.openai_family.stainless_sdk import StainlessSdk


class Cerebras(StainlessSdk):
    """The instrumentor of cerebras."""

    provider = "cerebras"
    endpoints: ClassVar[dict[str, Endpoint]] = {
        "/v1/chat/completions": CHAT_COMPLETIONS,
        "/v1/completions": COMPLETIONS,
    }


ENTRY = Entry(name="cerebras", target="cerebras.cloud.sdk._base_client", make=Cerebras)
