# /// script
# dependencies = ["langsmith[otel]", "openai"]
# ///
"""LangSmith's SDK in OTel mode: its decorator and OpenAI's client."""

import json
import os

# --8<-- [start:setup]
os.environ["LANGSMITH_TRACING"] = "true"
os.environ["LANGSMITH_OTEL_ENABLED"] = "true"
os.environ["LANGSMITH_OTEL_ONLY"] = "true"
os.environ["LANGSMITH_API_KEY"] = "any"
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
# --8<-- [end:setup]
from langsmith import Client, traceable
from langsmith.wrappers import wrap_openai
from openai import OpenAI

langsmith = Client()
client = wrap_openai(OpenAI())
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}


@traceable(run_type="tool")
def weather(city):
    return "rain"


@traceable(
    run_type="chain",
    name="forecaster",
    tags=["beta"],
    metadata={"session_id": "chat-7", "user_id": "ada"},
    client=langsmith,
)
def run(question):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    tools = [{"type": "function", "function": TOOL}]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=tools)
    call = answer.choices[0].message.tool_calls[0]
    result = weather(**json.loads(call.function.arguments))
    messages += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    answer = client.chat.completions.create(
        model="ok", messages=messages, tools=tools, temperature=0.5
    )
    return answer.choices[0].message.content


run("What is the weather in Oslo?")
langsmith.flush()
from opentelemetry import trace

trace.get_tracer_provider().force_flush()
