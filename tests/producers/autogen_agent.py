# /// script
# dependencies = [
#     "autogen-agentchat", "autogen-ext[openai]",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""AutoGen's own spans: an agent with a tool."""

import asyncio
import os

# --8<-- [start:setup]
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
# --8<-- [end:setup]
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient


async def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


async def main():
    info = {
        "vision": False,
        "function_calling": True,
        "json_output": False,
        "family": "unknown",
        "structured_output": False,
    }
    client = OpenAIChatCompletionClient(
        model="ok", model_info=info, base_url=os.environ["OPENAI_BASE_URL"]
    )
    agent = AssistantAgent(
        "forecaster", client, tools=[weather], system_message="Be brief.", reflect_on_tool_use=True
    )
    await RoundRobinGroupChat([agent], termination_condition=MaxMessageTermination(4)).run(
        task="What is the weather in Oslo?"
    )


asyncio.run(main())
provider.shutdown()
