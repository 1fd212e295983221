# /// script
# dependencies = [
#     "mistralai<2", "opentelemetry-instrumentation-mistralai",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""The spans of Mistral's client 1.x beside those of OpenLLMetry: each call is one event."""

import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

# --8<-- [start:setup]
from opentelemetry.instrumentation.mistralai import MistralAiInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
MistralAiInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from mistralai import Mistral

client = Mistral(api_key="any", server_url=os.environ["OPENAI_BASE_URL"].removesuffix("/v1"))
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
with provider.get_tracer("shop").start_as_current_span("forecaster"):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather in Oslo?"},
    ]
    answer = client.chat.complete(model="ok", messages=messages, tools=[TOOL])
    call = answer.choices[0].message.tool_calls[0]
    messages += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": "rain"},
    ]
    client.chat.complete(model="ok", messages=messages, tools=[TOOL])
    for _ in client.chat.stream(model="ok", messages=messages[:2]):
        pass
provider.shutdown()
