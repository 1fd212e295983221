# /// script
# dependencies = ["litellm", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"]
# ///
"""LiteLLM's callback for OpenTelemetry."""

import os

# --8<-- [start:setup]
import litellm

os.environ["OTEL_EXPORTER"] = "otlp_http"
os.environ["OTEL_ENDPOINT"] = os.environ["SESSIONTRACE_URL"] + "/v1/traces"
litellm.callbacks = ["otel"]
# --8<-- [end:setup]
import time

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}
tools = [{"type": "function", "function": TOOL}]
messages = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the weather in Oslo?"},
]
options = {
    "user": "ada",
    "metadata": {"session_id": "chat-7", "tags": ["beta"]},
    "temperature": 0.5,
}
litellm.completion(model="openai/ok", messages=messages, tools=tools, **options)
time.sleep(2)  # until LiteLLM's thread has called back
from opentelemetry import trace

trace.get_tracer_provider().force_flush()
