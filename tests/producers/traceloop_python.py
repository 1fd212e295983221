# /// script
# dependencies = ["traceloop-sdk", "openai", "httpx"]
# ///
"""Traceloop's SDK (OpenLLMetry): its decorators, OpenAI's client, association properties."""

import json
import os

from openai import OpenAI

# --8<-- [start:setup]
from traceloop.sdk import Traceloop

Traceloop.init(app_name="shop", api_endpoint=os.environ["SESSIONTRACE_URL"], disable_batch=True)
Traceloop.set_association_properties({"session_id": "chat-7", "user_id": "ada", "plan": "pro"})
# --8<-- [end:setup]
from traceloop.sdk.decorators import agent, tool

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}


@tool(name="weather")
def weather(city):
    return "rain"


@agent(name="forecaster")
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
