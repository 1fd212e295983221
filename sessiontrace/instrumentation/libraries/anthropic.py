"""anthropic: messages, stable and beta; on Bedrock and Vertex too.

The mechanism is ``StainlessSdk``. Invariant: other endpoints are left alone.
"""

from __future__ import annotations

from typing import ClassVar

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.openai_family.endpoints import MESSAGES, Endpoint
from sessiontrace.instrumentation.openai_family.fetched_results import (
    BATCH_STREAM,
    Fetch,
)
from sessiontrace.instrumentation.openai_family.stainless_sdk import StainlessSdk


class Anthropic(StainlessSdk):
    """The instrumentor of anthropic."""

    provider = "anthropic"
    endpoints: ClassVar[dict[str, Endpoint]] = {
        "/v1/messages": MESSAGES,
    }
    fetches: ClassVar[tuple[Fetch, ...]] = (BATCH_STREAM,)
    client_providers: ClassVar[dict[str, str]] = {
        "AnthropicBedrock": "aws.bedrock",
        "AnthropicBedrockMantle": "aws.bedrock",
        "AnthropicFoundry": "azure.ai.inference",
        "AnthropicVertex": "gcp.vertex_ai",
    }


ENTRY = Entry(name="anthropic", target="anthropic._base_client", make=Anthropic)
