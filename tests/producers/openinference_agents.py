# /// script
# dependencies = [
#     "openai-agents", "openinference-instrumentation-openai-agents",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenInference's instrumentation of the OpenAI Agents SDK."""

import os

# --8<-- [start:setup]
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI
from openinference.instrumentation import using_attributes


@function_tool
def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


model = OpenAIChatCompletionsModel(model="ok", openai_client=AsyncOpenAI())
forecaster = Agent(name="forecaster", instructions="Be brief.", model=model, tools=[weather])
with using_attributes(session_id="chat-7", user_id="ada"):
    Runner.run_sync(forecaster, "What is the weather in Oslo?")
provider.shutdown()
