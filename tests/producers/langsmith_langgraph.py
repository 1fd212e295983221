# /// script
# dependencies = ["langsmith[otel]", "langchain", "langchain-openai", "langgraph"]
# ///
"""LangSmith's tracing of LangChain over OpenTelemetry: an agent with a tool."""

import os

# --8<-- [start:setup]
os.environ["LANGSMITH_TRACING"] = "true"
os.environ["LANGSMITH_OTEL_ENABLED"] = "true"
os.environ["LANGSMITH_OTEL_ONLY"] = "true"
os.environ["LANGSMITH_API_KEY"] = "any"
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"] + "/otel"
# --8<-- [end:setup]
from langchain.agents import create_agent
from langchain_core.tracers.langchain import wait_for_all_tracers
from langchain_openai import ChatOpenAI
from opentelemetry import trace


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


agent = create_agent(
    ChatOpenAI(model="ok"), [weather], system_prompt="Be brief.", name="forecaster"
)
agent.invoke(
    {"messages": [{"role": "user", "content": "What is the weather in Oslo?"}]},
    config={"metadata": {"session_id": "chat-7", "user_id": "ada"}, "tags": ["beta"]},
)
wait_for_all_tracers()
trace.get_tracer_provider().force_flush()
