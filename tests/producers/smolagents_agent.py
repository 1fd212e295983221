# /// script
# dependencies = ["smolagents[openai,telemetry]", "opentelemetry-exporter-otlp-proto-http"]
# ///
"""OpenInference's instrumentation of smolagents."""

import os

# --8<-- [start:setup]
from openinference.instrumentation.smolagents import SmolagentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
SmolagentsInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from smolagents import OpenAIServerModel, ToolCallingAgent, tool


@tool
def weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: Its name.
    """
    return "rain"


ToolCallingAgent(
    tools=[weather],
    model=OpenAIServerModel("ok", api_base=os.environ["OPENAI_BASE_URL"], api_key="any"),
    max_steps=2,
    name="forecaster",
).run("What is the weather in Oslo?")
provider.shutdown()
