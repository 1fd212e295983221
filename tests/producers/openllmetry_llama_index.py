# /// script
# dependencies = [
#     "llama-index-core", "llama-index-llms-openai-like",
#     "opentelemetry-instrumentation-llamaindex",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenLLMetry's LlamaIndex instrumentor: an agent with a tool."""

import asyncio
import os

# --8<-- [start:setup]
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
LlamaIndexInstrumentor().instrument()
# --8<-- [end:setup]
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


async def main():
    model = OpenAILike(
        model="ok",
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key="any",
        is_chat_model=True,
        is_function_calling_model=True,
    )
    agent = FunctionAgent(
        name="forecaster",
        tools=[weather],
        llm=model,
        system_prompt="Be brief.",
        streaming=False,
    )
    await agent.run("What is the weather in Oslo?")


asyncio.run(main())
provider.shutdown()
