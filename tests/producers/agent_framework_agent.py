# /// script
# dependencies = [
#     "agent-framework-core", "agent-framework-openai",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""Microsoft Agent Framework's own spans: an agent with a tool."""

import asyncio
import os

# --8<-- [start:setup]
from agent_framework.observability import configure_otel_providers

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
configure_otel_providers(enable_sensitive_data=True)
# --8<-- [end:setup]
from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient
from opentelemetry import trace


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


async def main():
    agent = Agent(
        OpenAIChatCompletionClient(model="ok"), "Be brief.", name="forecaster", tools=[weather]
    )
    await agent.run("What is the weather in Oslo?")


asyncio.run(main())
trace.get_tracer_provider().force_flush()
