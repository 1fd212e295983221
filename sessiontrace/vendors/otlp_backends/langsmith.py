"""The destination ``LangSmith``; a value."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from sessiontrace.model.step_types import base_type
from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

__all__ = ["VENDOR", "LangSmith"]

_KINDS = {"model": "llm", "tool": "tool"}


@attrs.frozen(kw_only=True)
class LangSmith(OTLPBackend):
    """LangSmith.

    ``api_key``: default ``LANGSMITH_API_KEY``. ``base_url``: default ``LANGSMITH_ENDPOINT``, else
    LangSmith's US cloud. ``project``: default ``LANGSMITH_PROJECT``, else LangSmith's own default.
    Source: LangSmith's documentation of its OpenTelemetry endpoint.
    """

    kind: ClassVar[str] = "langsmith"
    KEY_VARIABLE: ClassVar[str] = "LANGSMITH_API_KEY"
    URL_VARIABLE: ClassVar[str] = "LANGSMITH_ENDPOINT"
    DEFAULT_URL: ClassVar[str] = "https://api.smith.langchain.com"
    PROJECT_VARIABLE: ClassVar[str] = "LANGSMITH_PROJECT"
    PATH: ClassVar[str] = "/otel/v1/traces"

    def request_headers(self) -> dict[str, str]:
        assert self.api_key is not None  # it is complete
        headers = {"x-api-key": self.api_key.reveal()}
        return {**headers, "Langsmith-Project": self.project} if self.project else headers

    def translate(self, attributes: dict[str, Any]) -> None:
        operation = attributes.get("gen_ai.operation.name")
        kind = _KINDS.get(base_type(attributes.get("sessiontrace.event.type")), "chain")
        if operation in ("embeddings", "retrieval"):
            kind = "embedding" if operation == "embeddings" else "retriever"
        attributes["langsmith.span.kind"] = kind
        attributes["langsmith.metadata.session_id"] = attributes["session.id"]  # of a thread there
        if "user.id" in attributes:
            attributes["langsmith.metadata.user_id"] = attributes["user.id"]
        if tags := attributes.get("tag.tags"):
            attributes["langsmith.span.tags"] = ",".join(tags)
        if "gen_ai.provider.name" in attributes:
            attributes["gen_ai.system"] = attributes["gen_ai.provider.name"]


VENDOR = vendor_for(LangSmith)
