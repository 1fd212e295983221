# /// script
# dependencies = [
#     "agno", "openai", "openinference-instrumentation-agno",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenInference's instrumentation of Agno."""

import os

# --8<-- [start:setup]
from openinference.instrumentation.agno import AgnoInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
AgnoInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from agno.agent import Agent
from agno.models.openai import OpenAIChat


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


forecaster = Agent(
    name="forecaster",
    model=OpenAIChat(id="ok"),
    tools=[weather],
    instructions="Be brief.",
    telemetry=False,
)
forecaster.run("What is the weather in Oslo?", session_id="chat-7", user_id="ada")
provider.shutdown()
