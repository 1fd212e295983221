# /// script
# dependencies = ["google-adk", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"]
# ///
"""Google's Agent Development Kit: an agent with a tool and a model of Gemini."""

import asyncio
import os

# --8<-- [start:setup]
from google.adk.telemetry.setup import maybe_set_otel_providers

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
maybe_set_otel_providers()
# --8<-- [end:setup]
from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.genai import types
from opentelemetry import trace


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


async def main():
    forecaster = LlmAgent(
        name="forecaster", model="gemini-ok", instruction="Be brief.", tools=[weather]
    )
    runner = InMemoryRunner(agent=forecaster, app_name="shop")
    await runner.session_service.create_session(app_name="shop", user_id="ada", session_id="chat-7")
    question = types.Content(role="user", parts=[types.Part(text="What is the weather in Oslo?")])
    async for _ in runner.run_async(user_id="ada", session_id="chat-7", new_message=question):
        pass


asyncio.run(main())
trace.get_tracer_provider().force_flush()
