# /// script
# dependencies = ["lmnr[openai]", "openai"]
# ///
"""Laminar's SDK: its decorator with session, user, tags and metadata, OpenAI's client."""

import json
import os
import urllib.parse

# --8<-- [start:setup]
from lmnr import Laminar, observe

place = urllib.parse.urlsplit(os.environ["SESSIONTRACE_URL"])
Laminar.initialize(
    project_api_key="any",
    base_url=f"{place.scheme}://{place.hostname}",
    http_port=place.port,
    force_http=True,
)
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


@observe(name="weather", span_type="TOOL")
def weather(city):
    return "rain"


@observe(name="forecaster", session_id="chat-7", user_id="ada", tags=["beta"])
def run(question):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    result = weather(**json.loads(call.function.arguments))
    messages += [
        answer.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
    return answer.choices[0].message.content


run("What is the weather in Oslo?")
Laminar.flush()
