# /// script
# dependencies = [
#     "haystack-ai", "opentelemetry-haystack",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""Haystack's own tracer over OpenTelemetry: an agent in a pipeline."""

import os

# --8<-- [start:setup]
from haystack import tracing
from haystack_integrations.tracing.opentelemetry import OpenTelemetryTracer
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
tracing.tracer.is_content_tracing_enabled = True
tracing.enable_tracing(OpenTelemetryTracer(provider.get_tracer("haystack")))
# --8<-- [end:setup]
from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


pipeline = Pipeline()
pipeline.add_component(
    "agent",
    Agent(
        chat_generator=OpenAIChatGenerator(model="ok"), tools=[weather], system_prompt="Be brief."
    ),
)
pipeline.run({"agent": {"messages": [ChatMessage.from_user("What is the weather in Oslo?")]}})
provider.shutdown()
