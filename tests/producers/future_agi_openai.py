# /// script
# dependencies = [
#     "traceai-openai", "openai<3",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""Future AGI's instrumentation of OpenAI's client."""

import os

# --8<-- [start:setup]
from fi_instrumentation import using_attributes
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from traceai_openai import OpenAIInstrumentor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
OpenAIInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
tracer = provider.get_tracer("shop")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
messages = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the weather in Oslo?"},
]
with (
    using_attributes(session_id="chat-7", user_id="ada", tags=["beta"]),
    tracer.start_as_current_span("forecaster"),
):
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    messages += [
        answer.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
provider.shutdown()
