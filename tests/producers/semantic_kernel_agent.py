# /// script
# dependencies = ["semantic-kernel", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"]
# ///
"""Semantic Kernel's own spans: an agent with a function."""

import asyncio
import os

# --8<-- [start:setup]
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE"] = "true"
provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
# --8<-- [end:setup]
from openai import AsyncOpenAI
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.functions import kernel_function


class Sky:
    @kernel_function
    def weather(self, city: str) -> str:
        """The weather of a city."""
        return "rain"


async def main():
    service = OpenAIChatCompletion(ai_model_id="ok", async_client=AsyncOpenAI())
    agent = ChatCompletionAgent(
        service=service, name="forecaster", instructions="Be brief.", plugins=[Sky()]
    )
    await agent.get_response("What is the weather in Oslo?")


asyncio.run(main())
provider.shutdown()
