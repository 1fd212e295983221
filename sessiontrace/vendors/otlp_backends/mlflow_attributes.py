"""What MLflow reads under names of its own, from a span by the GenAI conventions.

Pure functions, no thread owns them. Source: mlflow 3.17, ``tracing/otel/translation`` and
``SqlAlchemyStore.log_spans``. Invariant: MLflow's own attributes win over what it would derive.
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
_TAG = "mlflow.traceTag."
_VALUE_MAX = 4096


def translate(attributes: Attributes) -> None:
    """Add them to a span's attributes."""
    kind = attributes.get("openinference.span.kind")
    if base_type(attributes.get("sessiontrace.event.type")) == "model":
        _add_usage(attributes)
    elif kind == "RETRIEVER":
        _add_documents(attributes)
    elif kind != "TOOL":
        for side in ("input", "output"):
            unwrap_text(attributes, side)
        if kind == "CHAIN":
            _add_tags(attributes)


def _add_usage(attributes: Attributes) -> None:
    """The total of a call without an answer, and the cost as it was computed."""
    if "gen_ai.usage.input_tokens" in attributes:
        attributes.setdefault("gen_ai.usage.output_tokens", 0)
    costs = {
        "input_cost": attributes.get(f"{METADATA}prompt_cost"),
        "output_cost": attributes.get(f"{METADATA}completion_cost"),
        "total_cost": attributes.get("gen_ai.usage.cost"),
    }
    if all(isinstance(cost, (int, float)) for cost in costs.values()):
        attributes["mlflow.llm.cost"] = orjson.dumps(costs)


def _add_documents(attributes: Attributes) -> None:
    """The result as a list of documents in the form that MLflow's page shows as such."""
    result = attributes.get("gen_ai.tool.call.result")
    if not isinstance(result, bytes) or len(result) > _COPY_MAX:
        return
    documents = documents_of(result)
    if documents and all(document.content is not None for document in documents):
        attributes["mlflow.spanOutputs"] = orjson.dumps(
            [
                {
                    "page_content": document.content,
                    "metadata": {
                        **(document.metadata or {}),
                        **({} if document.score is None else {"score": document.score}),
                    },
                    "id": document.identifier,
                }
                for document in documents
            ]
        )


def _add_tags(attributes: Attributes) -> None:
    """Tags and metadata of a turn; MLflow reads them where the span is a trace's root."""
    for tag in attributes.get("tag.tags", ()):
        attributes[_TAG + tag] = "true"
    for key, value in metadata_of(attributes).items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        attributes.setdefault(_TAG + key, text[:_VALUE_MAX])
