# /// script
# dependencies = [
#     "anthropic", "openinference-instrumentation-anthropic",
#     "opentelemetry-instrumentation-anthropic",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""Anthropic's own spans beside those of OpenInference and OpenLLMetry: each call is one event."""

import os

# --8<-- [start:setup]
from openinference.instrumentation.anthropic import AnthropicInstrumentor as OpenInference
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor as OpenLLMetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)  # Anthropic's client sends its own spans to it
OpenInference().instrument(tracer_provider=provider)
OpenLLMetry().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from anthropic import Anthropic

client = Anthropic()
tracer = provider.get_tracer("shop")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"name": "weather", "description": "Weather of a city", "input_schema": CITY}]
QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}
with tracer.start_as_current_span("forecaster"):
    client.messages.create(
        model="ok", max_tokens=50, system="Be brief.", messages=[QUESTION], tools=TOOLS
    )
    with client.messages.stream(model="ok", max_tokens=50, messages=[QUESTION]) as stream:
        stream.until_done()
provider.shutdown()
