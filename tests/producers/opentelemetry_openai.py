# /// script
# dependencies = [
#     "openai", "httpx", "opentelemetry-instrumentation-openai-v2",
#     "opentelemetry-util-genai==0.4b0",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenTelemetry's own instrumentation of OpenAI's client, messages on the spans."""

import os

# --8<-- [start:setup]
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
OpenAIInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}
tracer = provider.get_tracer("shop")
agent = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "forecaster",
    "gen_ai.conversation.id": "chat-7",
    "user.id": "ada",
}
with tracer.start_as_current_span("invoke_agent forecaster", attributes=agent):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather in Oslo?"},
    ]
    tools = [{"type": "function", "function": TOOL}]
    answer = client.chat.completions.create(model="ok", messages=messages, tools=tools)
    call = answer.choices[0].message.tool_calls[0]
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.id": call.id,
        "gen_ai.tool.call.arguments": call.function.arguments,
        "gen_ai.tool.call.result": "rain",
    }
    with tracer.start_as_current_span("execute_tool weather", attributes=tool):
        pass
    messages += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    client.chat.completions.create(model="ok", messages=messages, tools=tools)
provider.shutdown()
