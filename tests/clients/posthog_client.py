"""PostHog's own Python client; the server's URL is given. Prints the session's id."""

from __future__ import annotations

import sys
import uuid

from posthog import Posthog

lost = []
hog = Posthog(
    "phc_anything", host=sys.argv[1], gzip=True, on_error=lambda error, batch: lost.append(error)
)
session_id, span_id = str(uuid.uuid4()), str(uuid.uuid4())
shared = {"$ai_trace_id": session_id, "$ai_session_id": session_id}
hog.capture("page viewed", distinct_id="ada", properties={"$session_id": session_id})
hog.capture(
    "$ai_generation",
    distinct_id="ada",
    properties={
        **shared,
        "$ai_span_id": span_id,
        "$ai_span_name": "think",
        "$ai_model": "gpt-x",
        "$ai_provider": "openai",
        "$ai_input": [{"role": "user", "content": "6 x 7"}],
        "$ai_output_choices": [{"role": "assistant", "content": "42"}],
        "$ai_input_tokens": 3,
        "$ai_output_tokens": 1,
        "$ai_latency": 0.25,
    },
)
hog.capture(
    "$ai_span",
    distinct_id="ada",
    properties={
        **shared,
        "$ai_span_id": str(uuid.uuid4()),
        "$ai_parent_id": span_id,
        "$ai_span_type": "tool",
        "$ai_span_name": "look_up",
        "$ai_input_state": {"word": "x"},
        "$ai_output_state": "y",
        "$ai_is_error": True,
        "$ai_error": "TimeoutError: no answer",
    },
)
hog.capture(
    "$ai_trace",
    distinct_id="ada",
    properties={**shared, "$ai_span_name": "official", "$ai_latency": 1.5,
                "$set": {"plan": "pro"}},
)  # fmt: skip
hog.capture(
    "$ai_metric",
    distinct_id="ada",
    properties={**shared, "$ai_metric_name": "helpful", "$ai_metric_value": "1"},
)
hog.flush()
hog.shutdown()
assert lost == [], lost
print(session_id)
