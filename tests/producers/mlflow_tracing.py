# /// script
# dependencies = [
#     "mlflow-tracing", "openai", "sqlparse", "pyyaml",
#     "opentelemetry-exporter-otlp-proto-http<1.40",
# ]
# ///
"""MLflow's tracing of OpenAI's client and of functions, exported by OTLP."""

import json
import os

# --8<-- [start:setup]
import mlflow

os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ["SESSIONTRACE_URL"] + "/v1/traces"
os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
mlflow.openai.autolog()
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}


@mlflow.trace(span_type="TOOL")
def weather(city):
    return "rain"


@mlflow.trace(span_type="AGENT", name="forecaster")
def run(question):
    mlflow.update_current_trace(
        metadata={"mlflow.trace.session": "chat-7", "mlflow.trace.user": "ada"},
        tags={"plan": "pro"},
    )
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
mlflow.flush_trace_async_logging() if hasattr(mlflow, "flush_trace_async_logging") else None
