"""The endpoints of these APIs: how a request becomes inputs, and an answer outputs.

Pure tables, read on the thread of the call. Each SDK's module in ``libraries`` names the paths that
it sends to these endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.core.stream_observer import StreamAssembler
from sessiontrace.instrumentation.openai_family.anthropic_messages import (
    MessageAssembler,
    message_answer,
    message_request,
)
from sessiontrace.instrumentation.openai_family.chat_format import (
    ChatAssembler,
    chat_answer,
    chat_request,
)
from sessiontrace.instrumentation.openai_family.media_endpoints import (
    ImagesAssembler,
    SoundAssembler,
    TranscriptionAssembler,
    decisions_answer,
    images_answer,
    media_request,
    moderation_answer,
    ranks_answer,
    speech_answer,
    transcription_answer,
)
from sessiontrace.instrumentation.openai_family.responses_format import (
    ResponseAssembler,
    response_answer,
    response_request,
)
from sessiontrace.instrumentation.openai_family.text_completions import TextAssembler, text_answer


class Endpoint:
    """How one endpoint is read.

    ``operation``: as OpenTelemetry names it. ``request`` gives the inputs and hyperparameters of a
    request's body, ``answer`` the outputs and metadata of a whole answer. ``assembler`` creates
    the object that puts a streamed answer together; None where the endpoint does not stream.
    ``body(media_type)`` creates the object that reads a body which is not JSON, from its pieces.
    ``plain_text``: a body that is not JSON is the answer's text.
    """

    # A class with slots: to make a named tuple takes 0.2 ms of the import of the program's SDK.
    __slots__ = ("answer", "assembler", "body", "operation", "plain_text", "request")

    def __init__(
        self,
        operation: str,
        request: Callable[[Mapping[str, Any]], tuple[dict[str, Any], dict[str, Any]]],
        answer: Callable[[Any], Answer],
        assembler: Callable[[], StreamAssembler] | None,
        body: Callable[[str], StreamAssembler] | None = None,
        plain_text: bool = False,
    ) -> None:
        self.operation: str = operation
        self.request: Callable[[Mapping[str, Any]], tuple[dict[str, Any], dict[str, Any]]] = request
        self.answer: Callable[[Any], Answer] = answer
        self.assembler: Callable[[], StreamAssembler] | None = assembler
        self.body: Callable[[str], StreamAssembler] | None = body
        self.plain_text: bool = plain_text


def _embedding_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"input": body.get("input")}, pick(body, {"dimensions", "encoding_format"})


def _embedding_answer(result: Any) -> Answer:
    """The number of vectors and their length; the vectors themselves are left out."""
    vectors = get_field(result, "data") or []
    first = get_field(vectors[0], "embedding") if vectors else None
    size = len(first) if isinstance(first, list) else None
    if isinstance(first, str):  # base64 of floats of four bytes
        size = (len(first) * 3 // 4 - first[-2:].count("=")) // 4
    outputs = without_none({"embeddings": len(vectors), "dimensions": size})
    return Answer(outputs, chat_answer(result).metadata)


def _text_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"prompt": body.get("prompt")}, chat_request(body)[1]


CHAT_COMPLETIONS = Endpoint("chat", chat_request, chat_answer, ChatAssembler)
RESPONSES = Endpoint("chat", response_request, response_answer, ResponseAssembler)
EMBEDDINGS = Endpoint("embeddings", _embedding_request, _embedding_answer, None)
COMPLETIONS = Endpoint("text_completion", _text_request, text_answer, TextAssembler)
MESSAGES = Endpoint("chat", message_request, message_answer, MessageAssembler)

COMPACTION = Endpoint("compaction", response_request, response_answer, None)
IMAGES = Endpoint("images", media_request, images_answer, ImagesAssembler)
SPEECH = Endpoint("speech", media_request, speech_answer, SoundAssembler, body=SoundAssembler)
TRANSCRIPTION = Endpoint(
    "transcription", media_request, transcription_answer, TranscriptionAssembler, plain_text=True
)
TRANSLATION = Endpoint("translation", media_request, transcription_answer, None, plain_text=True)
MODERATION = Endpoint("moderation", media_request, moderation_answer, None)
RERANK = Endpoint("rerank", media_request, ranks_answer, None)
DECISIONS = Endpoint("decisions", media_request, decisions_answer, None)

HOSTS = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openrouter.ai": "openrouter",
    "router.huggingface.co": "huggingface",
}
"""The providers that programs reach with another provider's SDK, by host."""
