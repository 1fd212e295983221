"""What a layer further in adds to the event of the layer around it.

Runs on the thread of the call. Invariant: nothing that the event has is replaced, except by the
request that succeeded after one that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.capture.handle import Handle
from sessiontrace.instrumentation.core.token_counts import TOKEN_COUNTS, summed

__all__ = ["add_missing", "without_logprobs"]


def add_missing(
    span: Handle,
    config: Mapping[str, object],
    metadata: Mapping[str, object],
    counts: Mapping[str, object],
    metrics: Mapping[str, object] | None,
) -> None:
    """Add what the event lacks; ``counts``: the tokens, which add up over the calls of a layer."""

    for group, values in (("config", config), ("metadata", metadata)):
        existing = span.field_group(group) or {}
        new = {
            name: value
            for name, value in values.items()
            if name not in existing and name not in TOKEN_COUNTS
        }
        if group == "metadata":  # two calls inside one event: their tokens add up
            new.update(summed(existing, counts))
            new.update(_after_failure(existing, values))
        if new:
            span.merge(group, new)
    if metrics and span.field_group("metrics") is None:
        span.merge("metrics", metrics)


def without_logprobs(outputs: Any) -> Any:
    """Outputs without log probabilities, which are many times as large as the text they are of."""
    if type(outputs) is dict:
        if "logprobs" in outputs:
            outputs = {name: value for name, value in outputs.items() if name != "logprobs"}
        if type(choices := outputs.get("choices")) is list:
            outputs = {**outputs, "choices": [without_logprobs(choice) for choice in choices]}
    return outputs


def _after_failure(existing: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The request of a call that succeeded in place of the one that failed before, in one event."""
    before, now = existing.get("http_status"), values.get("http_status")
    if not isinstance(before, int) or not isinstance(now, int) or before < 400 or now >= 400:
        return {}
    request = {name: values.get(name) for name in ("http_status", "request_id")}
    return {**request, "error_code": None} if "error_code" in existing else request
