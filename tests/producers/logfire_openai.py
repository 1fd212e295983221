# /// script
# dependencies = ["logfire", "openai"]
# ///
"""Logfire's instrumentation of OpenAI's client."""

import os

# --8<-- [start:setup]
import logfire

os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
logfire.configure(send_to_logfire=False, service_name="shop", console=False, scrubbing=False)
logfire.instrument_openai()
# --8<-- [end:setup]

from openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}
with logfire.set_baggage(**{"session.id": "chat-7", "user.id": "ada"}):
    with logfire.span("forecast for {city}", city="Oslo"):
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the weather in Oslo?"},
        ]
        tools = [{"type": "function", "function": TOOL}]
        answer = client.chat.completions.create(model="ok", messages=messages, tools=tools)
        call = answer.choices[0].message.tool_calls[0]
        messages += [
            answer.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        ]
        client.chat.completions.create(model="ok", messages=messages, tools=tools)
        client.responses.create(model="ok", instructions="Be brief.", input="And in Bergen?")
        for _ in client.chat.completions.create(
            model="ok", messages=[{"role": "user", "content": "And in Bergen?"}], stream=True
        ):
            pass
logfire.force_flush()
