# /// script
# dependencies = [
#     "langchain", "langchain-openai", "openinference-instrumentation-langchain",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenInference's instrumentation of LangChain and LangGraph: an agent with a tool."""

import os

# --8<-- [start:setup]
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
LangChainInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


agent = create_agent(
    ChatOpenAI(model="ok"), [weather], system_prompt="Be brief.", name="forecaster"
)
agent.invoke(
    {"messages": [{"role": "user", "content": "What is the weather in Oslo?"}]},
    {"metadata": {"session_id": "chat-7", "user_id": "ada"}, "tags": ["beta"]},
)
provider.shutdown()
