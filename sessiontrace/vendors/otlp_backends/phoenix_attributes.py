"""What Phoenix reads under OpenInference's names only, from a span by the GenAI conventions.

Pure functions, no thread owns them. Source: arize-phoenix 20.26, ``trace/gen_ai/conversion.py``.
Invariant: a text over 16 KiB is not written twice.
"""

from __future__ import annotations

from typing import Any

import orjson

from sessiontrace.model.step_types import base_type
from sessiontrace.vendors.otlp_backends.plain_text import unwrap_text
from sessiontrace.vendors.otlp_backends.span_metadata import METADATA, metadata_of
from sessiontrace.wire.retrieval.documents import documents_of

__all__ = ["translate"]

Attributes = dict[str, Any]

_COPY_MAX = 16 << 10


def translate(attributes: Attributes) -> None:
    """Add them to a span's attributes."""
    kind = attributes.get("openinference.span.kind")
    if base_type(attributes.get("sessiontrace.event.type")) == "model":
        _add_model(attributes)
    elif kind == "RETRIEVER":
        _add_documents(attributes)
    elif kind != "TOOL":
        for side in ("input", "output"):
            unwrap_text(attributes, side)
    _gather_metadata(attributes)


def _add_model(attributes: Attributes) -> None:
    for side in ("input", "output"):
        encoded = attributes.get(f"gen_ai.{side}.messages")
        if encoded is not None and len(encoded) <= _COPY_MAX:
            text = _only_text(encoded) if side == "output" else None
            attributes[f"{side}.value"] = encoded if text is None else text
            attributes[f"{side}.mime_type"] = "application/json" if text is None else "text/plain"
    if (reasoning := attributes.get("gen_ai.usage.reasoning.output_tokens")) is not None:
        attributes["llm.token_count.completion_details.reasoning"] = reasoning


def _only_text(encoded: bytes | str) -> str | None:
    """The text of messages that are one message with one text; else None."""
    messages = orjson.loads(encoded)
    parts = messages[0].get("parts") if len(messages) == 1 else None
    if isinstance(parts, list) and len(parts) == 1 and parts[0].get("type") == "text":
        content = parts[0].get("content")
        return content if isinstance(content, str) else None
    return None


def _add_documents(attributes: Attributes) -> None:
    result = attributes.get("gen_ai.tool.call.result")
    if not isinstance(result, bytes) or len(result) > _COPY_MAX:
        return
    for number, document in enumerate(documents_of(result)):
        prefix = f"retrieval.documents.{number}.document."
        fields = {
            "id": document.identifier,
            "content": document.content,
            "score": document.score,
            "metadata": document.metadata and orjson.dumps(document.metadata),
        }
        for name, value in fields.items():
            if value is not None:
                attributes[prefix + name] = value


def _gather_metadata(attributes: Attributes) -> None:
    metadata = {key: _json(attributes.pop(METADATA + key)) for key in metadata_of(attributes)}
    if metadata:
        attributes["metadata"] = orjson.dumps(metadata)


def _json(value: Any) -> Any:
    return orjson.Fragment(value) if isinstance(value, bytes) else value
