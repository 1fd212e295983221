# /// script
# dependencies = ["openlit", "openai"]
# ///
"""OpenLIT: a decorated function and OpenAI's client."""

import json
import os

# --8<-- [start:setup]
import openlit

openlit.init(otlp_endpoint=os.environ["SESSIONTRACE_URL"], disable_batch=True)
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


@openlit.trace
def forecaster(question):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS, user="ada")
    call = answer.choices[0].message.tool_calls[0]
    city = json.loads(call.function.arguments)["city"]
    assert city == "Oslo"
    messages += [
        answer.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
    return answer.choices[0].message.content


forecaster("What is the weather in Oslo?")
