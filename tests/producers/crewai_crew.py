# /// script
# dependencies = [
#     "crewai", "litellm",
#     "openinference-instrumentation-crewai", "openinference-instrumentation-litellm",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenInference's instrumentation of CrewAI."""

import os

# --8<-- [start:setup]
from openinference.instrumentation.crewai import CrewAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
CrewAIInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("weather")
def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


forecaster = Agent(
    role="forecaster",
    goal="Tell the weather.",
    backstory="A forecaster.",
    llm=LLM(model="hosted_vllm/ok", base_url=os.environ["OPENAI_BASE_URL"]),
    tools=[weather],
)
task = Task(
    description="What is the weather in {city}?", expected_output="A sentence.", agent=forecaster
)
Crew(name="forecast", agents=[forecaster], tasks=[task]).kickoff({"city": "Oslo"})
provider.shutdown()
