# /// script
# dependencies = ["strands-agents[otel,openai]"]
# ///
"""Strands with the newest conventions, whose messages are in one event of the span."""

import os

# --8<-- [start:setup]
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
from strands.telemetry import StrandsTelemetry

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
telemetry = StrandsTelemetry().setup_otlp_exporter()
# --8<-- [end:setup]
from strands import Agent, tool
from strands.models.openai import OpenAIModel


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


forecaster = Agent(
    name="forecaster",
    model=OpenAIModel(
        client_args={"base_url": os.environ["OPENAI_BASE_URL"], "api_key": "any"}, model_id="ok"
    ),
    tools=[weather],
    system_prompt="Be brief.",
    callback_handler=None,
    trace_attributes={"session.id": "chat-7", "user.id": "ada", "tags": ["beta"]},
)
forecaster("What is the weather in Oslo?")
telemetry.tracer_provider.force_flush()
