# /// script
# dependencies = ["langfuse<3"]
# ///
"""Langfuse's SDK 2, which sends traces, observations and scores to its ingestion API."""

import os

# --8<-- [start:setup]
os.environ["LANGFUSE_HOST"] = os.environ["SESSIONTRACE_URL"]  # http://127.0.0.1:1893
os.environ["LANGFUSE_PUBLIC_KEY"] = "any"
os.environ["LANGFUSE_SECRET_KEY"] = "any"
# --8<-- [end:setup]

from langfuse import Langfuse

client = Langfuse()
QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}
SYSTEM = {"role": "system", "content": "Be brief."}
FUNCTION = {"name": "weather", "arguments": '{"city": "Oslo"}'}
CALL = {"id": "call_1", "type": "function", "function": FUNCTION}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}

trace = client.trace(
    name="forecaster",
    session_id="chat-7",
    user_id="ada",
    tags=["beta"],
    metadata={"plan": "pro"},
    input=QUESTION["content"],
)
first = trace.generation(
    name="first",
    model="ok",
    model_parameters={"temperature": 0.5},
    input=[SYSTEM, QUESTION],
)
first.end(output=ASKS, usage={"input": 12, "output": 7, "total": 19})
client.flush()
tool = trace.span(name="weather", input={"city": "Oslo"})
tool.end(output="rain")
second = trace.generation(
    name="second",
    model="ok",
    input=[SYSTEM, QUESTION, ASKS, {"role": "tool", "tool_call_id": "call_1", "content": "rain"}],
)
client.flush()
second.end(
    output={"role": "assistant", "content": "Hello from the stub"},
    usage={"input": 12, "output": 7, "total": 19},
)
second.score(name="helpful", value=1, data_type="BOOLEAN")
trace.update(output="Hello from the stub")
trace.score(name="accuracy", value=0.9, comment="right")
client.flush()
