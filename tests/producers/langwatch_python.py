# /// script
# dependencies = [
#     "langwatch", "openai", "openinference-instrumentation-openai",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""LangWatch's SDK: its decorators with thread, user and labels, OpenInference's OpenAI."""

import json
import os

# --8<-- [start:setup]
import langwatch
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
langwatch.setup(
    api_key="any",
    endpoint_url=os.environ["SESSIONTRACE_URL"],
    tracer_provider=provider,
    skip_open_telemetry_setup=True,
    instrumentors=[OpenAIInstrumentor()],
)
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


@langwatch.span(type="tool", name="weather")
def weather(city):
    return "rain"


@langwatch.trace(
    name="forecaster", metadata={"thread_id": "chat-7", "user_id": "ada", "labels": ["beta"]}
)
def run(question):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    result = weather(**json.loads(call.function.arguments))
    messages += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
    return answer.choices[0].message.content


run("What is the weather in Oslo?")
provider.shutdown()
