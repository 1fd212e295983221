# /// script
# dependencies = ["logfire", "openai-agents"]
# ///
"""Logfire's instrumentation of the OpenAI Agents SDK."""

import os

# --8<-- [start:setup]
import logfire

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
logfire.configure(send_to_logfire=False, service_name="shop", console=False)
logfire.instrument_openai_agents()
# --8<-- [end:setup]
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI


@function_tool
def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


model = OpenAIChatCompletionsModel(model="ok", openai_client=AsyncOpenAI())
forecaster = Agent(name="forecaster", instructions="Be brief.", model=model, tools=[weather])
Runner.run_sync(forecaster, "What is the weather in Oslo?")
logfire.force_flush()
