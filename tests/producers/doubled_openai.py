# /// script
# dependencies = [
#     "openai", "openinference-instrumentation-openai", "opentelemetry-instrumentation-openai",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenAI's client under OpenInference and OpenLLMetry at once: each call is one event."""

import os

# --8<-- [start:setup]
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(SimpleSpanProcessor(exporter))
OpenInference().instrument(tracer_provider=provider)
OpenLLMetry().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
tracer = provider.get_tracer("shop")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
with tracer.start_as_current_span("forecaster"):
    question = {"role": "user", "content": "What is the weather in Oslo?"}
    messages = [{"role": "system", "content": "Be brief."}, question]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather"}
    attributes["gen_ai.tool.call.arguments"] = call.function.arguments
    attributes["gen_ai.tool.call.result"] = "rain"
    with tracer.start_as_current_span("weather", attributes=attributes):
        pass
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    messages += [answer.choices[0].message, result]
    client.chat.completions.create(model="ok", messages=messages, tools=TOOLS, temperature=0.5)
    stream = client.chat.completions.create(
        model="ok",
        messages=[question],
        stream=True,
        stream_options={"include_usage": True},
    )
    list(stream)
    client.responses.create(model="ok", instructions="Be brief.", input="And in Bergen?")
    client.embeddings.create(model="ok", input=["Oslo", "Bergen"])
provider.shutdown()
