"""fireworks: chat and text completions, and messages, on its host and on others.

The mechanism is ``StainlessSdk``. Invariant: other endpoints are left alone.
"""

from __future__ import annotations

from typing import ClassVar

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.openai_family.endpoints import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    MESSAGES,
    Endpoint,
)
from sessiontrace.instrumentation.openai_family.stainless_sdk import StainlessSdk


class Fireworks(StainlessSdk):
    """The instrumentor of fireworks."""

    provider = "fireworks"
    endpoints: ClassVar[dict[str, Endpoint]] = {
        host + path: endpoint
        for host in ("", "https://api.fireworks.ai/inference")  # by default, its own host
        for path, endpoint in {
            "/v1/chat/completions": CHAT_COMPLETIONS,
            "/v1/completions": COMPLETIONS,
            "/v1/messages": MESSAGES,
        }.items()
    }


ENTRY = Entry(name="fireworks", target="fireworks._base_client", make=Fireworks)
