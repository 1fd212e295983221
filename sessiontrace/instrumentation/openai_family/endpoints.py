"""The endpoints that are read, by package: how a request becomes inputs, an answer outputs.

Pure tables. Invariant: a route that is not here costs one dictionary look-up and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.core.stream_observer import StreamAssembler
from sessiontrace.instrumentation.openai_family.anthropic_messages import (
    MessageGather,
    message_answer,
    message_request,
)
from sessiontrace.instrumentation.openai_family.chat_format import (
    ChatGather,
    TextGather,
    chat_answer,
    chat_request,
    text_answer,
)
from sessiontrace.instrumentation.openai_family.responses_format import (
    ResponseGather,
    response_answer,
    response_request,
)

__all__ = ["PACKAGES", "Route", "provider_of"]


class Route(NamedTuple):
    """How one endpoint is read. ``operation``: as OpenTelemetry names it.

    ``request`` gives inputs and hyperparameters of a body; ``gather`` is None where the endpoint
    does not stream.
    """

    operation: str
    request: Callable[[Mapping[str, Any]], tuple[dict[str, Any], dict[str, Any]]]
    answer: Callable[[Any], Answer]
    gather: Callable[[], StreamAssembler] | None


def _embedding_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"input": body.get("input")}, pick(body, {"dimensions", "encoding_format"})


def _embedding_answer(result: Any) -> Answer:
    """How many vectors and how long; the numbers themselves would help nobody."""
    vectors = get_field(result, "data") or []
    first = get_field(vectors[0], "embedding") if vectors else None
    size = len(first) if isinstance(first, list) else None
    shown = without_none({"embeddings": len(vectors), "dimensions": size})
    return Answer(shown, chat_answer(result).metadata)


def _text_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"prompt": body.get("prompt")}, chat_request(body)[1]


_CHAT = Route("chat", chat_request, chat_answer, ChatGather)
_RESPONSES = Route("chat", response_request, response_answer, ResponseGather)
_EMBEDDINGS = Route("embeddings", _embedding_request, _embedding_answer, None)
_TEXT = Route("text_completion", _text_request, text_answer, TextGather)
_MESSAGES = Route("chat", message_request, message_answer, MessageGather)

PACKAGES: dict[str, dict[str, Route]] = {
    "openai": {
        "/chat/completions": _CHAT,
        "/responses": _RESPONSES,
        "/embeddings": _EMBEDDINGS,
        "/completions": _TEXT,
    },
    "anthropic": {"/v1/messages": _MESSAGES, "/v1/messages?beta=true": _MESSAGES},
    "groq": {"/openai/v1/chat/completions": _CHAT, "/openai/v1/embeddings": _EMBEDDINGS},
}

_CLIENTS = {  # clients that speak the API of one provider to another one
    "AzureOpenAI": "azure.ai.openai",
    "AsyncAzureOpenAI": "azure.ai.openai",
    "AnthropicBedrock": "aws.bedrock",
    "AsyncAnthropicBedrock": "aws.bedrock",
    "AnthropicVertex": "gcp.vertex_ai",
    "AsyncAnthropicVertex": "gcp.vertex_ai",
}

_HOSTS = {
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together",
    "api.x.ai": "x_ai",
    "openrouter.ai": "openrouter",
}


def provider_of(client: Any, package: str) -> str:
    """Who answers a client of ``package``, in the words of OpenTelemetry's conventions."""
    known = _CLIENTS.get(type(client).__name__)
    return known or _HOSTS.get(client._base_url.host, package)
