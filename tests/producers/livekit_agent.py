# /// script
# dependencies = [
#     "livekit-agents[openai]", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""LiveKit Agents' own telemetry: an agent with a tool, asked by text."""

import asyncio
import os

# --8<-- [start:setup]
from livekit.agents.telemetry import set_tracer_provider
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
set_tracer_provider(provider, metadata={"session.id": "chat-7", "user.id": "ada"})
# --8<-- [end:setup]
from livekit.agents import Agent, AgentSession, function_tool
from livekit.plugins import openai


class Forecaster(Agent):
    def __init__(self):
        super().__init__(instructions="Be brief.", id="forecaster")

    @function_tool
    async def weather(self, city: str) -> str:
        """The weather of a city."""
        return "rain"


async def main():
    model = openai.LLM(model="ok", base_url=os.environ["OPENAI_BASE_URL"], api_key="any")
    async with AgentSession(llm=model) as session:
        await session.start(Forecaster())
        await session.run(user_input="What is the weather in Oslo?")


asyncio.run(main())
provider.shutdown()
