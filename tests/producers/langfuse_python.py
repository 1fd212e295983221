# /// script
# dependencies = ["langfuse", "openai"]
# ///
"""Langfuse's SDK for Python: its decorator, its client for OpenAI, its session, user and tags."""

import os

# --8<-- [start:setup]
os.environ["LANGFUSE_BASE_URL"] = os.environ["SESSIONTRACE_URL"]  # http://127.0.0.1:1893
os.environ["LANGFUSE_PUBLIC_KEY"] = "any"
os.environ["LANGFUSE_SECRET_KEY"] = "any"
# --8<-- [end:setup]

import json

from langfuse import get_client, observe, propagate_attributes
from langfuse.openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the weather in Oslo?"},
]


@observe(as_type="tool")
def weather(city):
    return "rain"


@observe(as_type="agent", name="forecaster")
def run(question):
    messages = list(MESSAGES)
    tools = [{"type": "function", "function": TOOL}]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=tools)
    call = answer.choices[0].message.tool_calls[0]
    result = weather(**json.loads(call.function.arguments))
    messages += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    answer = client.chat.completions.create(
        model="ok", messages=messages, tools=tools, name="final-answer", temperature=0.5
    )
    get_client().score_current_trace(name="accuracy", value=0.9, comment="right")
    return answer.choices[0].message.content


with propagate_attributes(
    session_id="chat-7",
    user_id="ada",
    tags=["beta"],
    metadata={"plan": "pro"},
    trace_name="forecast",
):
    run("What is the weather in Oslo?")
get_client().create_score(
    name="helpful", value="very", data_type="CATEGORICAL", session_id="chat-7"
)
get_client().flush()
