"""OTel's event ``gen_ai.evaluation.result``, read as the scores of the step that it is about.

Pure functions, no thread owns them. Source of the names: the GenAI conventions' events. Invariant:
what an evaluation says beside its value is in the metadata, under its name.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.decoded.name_plan import bucket_path
from sessiontrace.wire.received_span import Attributes
from sessiontrace.wire.span_reader import first_text
from sessiontrace.wire.value_tree import json_value, put

__all__ = ["EVALUATION", "scores_of"]

EVALUATION = "gen_ai.evaluation.result"
"""The event's name."""


def scores_of(attributes: Attributes) -> dict[str, Any]:
    """An evaluation's result: its value among the metrics, else its label in the feedback."""
    changes: dict[str, Any] = {}
    for key, value in attributes.items():
        if (path := bucket_path(key)) is not None:  # our own exporter says which field it is
            put(changes, path, json_value(value))
    name = first_text(attributes, "gen_ai.evaluation.name") or "score"
    value = attributes.get("gen_ai.evaluation.score.value")
    label = attributes.get("gen_ai.evaluation.score.label")
    details = {
        "label": label,
        "explanation": attributes.get("gen_ai.evaluation.explanation"),
        "error": attributes.get("error.type"),
    }
    if not any(name in changes.get(bucket, ()) for bucket in ("metrics", "feedback")):
        if isinstance(value, (int, float)):
            put(changes, ("metrics", name), value)
        elif label is not None:
            put(changes, ("feedback", name), details.pop("label"))
    if details := {key: text for key, text in details.items() if text is not None}:
        put(changes, ("metadata", f"evaluation.{name}"), details)
    return changes
