# /// script
# dependencies = ["pydantic-ai-slim[openai]", "logfire"]
# ///
"""Pydantic AI with Logfire."""

import os

# --8<-- [start:setup]
import logfire

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
logfire.configure(send_to_logfire=False, service_name="shop", console=False, scrubbing=False)
logfire.instrument_pydantic_ai()
# --8<-- [end:setup]
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

forecaster = Agent(OpenAIChatModel("ok"), name="forecaster", instructions="Be brief.")


@forecaster.tool_plain
def weather(city: str) -> str:
    return "rain"


with logfire.set_baggage(**{"session.id": "chat-7", "user.id": "ada"}):
    with logfire.span("forecast for {city}", city="Oslo"):
        forecaster.run_sync("What is the weather in Oslo?")
logfire.force_flush()
