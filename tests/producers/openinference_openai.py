# /// script
# dependencies = [
#     "openai", "openinference-instrumentation-openai",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenInference's instrumentation of OpenAI's client, with a tool, an image and vectors."""

import os

# --8<-- [start:setup]
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
OpenAIInstrumentor().instrument(tracer_provider=provider)
# --8<-- [end:setup]
from openai import OpenAI

client = OpenAI()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "parameters": CITY}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/sky.png"}}
tracer = provider.get_tracer("shop")
with using_attributes(
    session_id="chat-7",
    user_id="ada",
    tags=["beta"],
    metadata={"plan": "pro"},
    prompt_template="{q}",
    prompt_template_version="v1",
    prompt_template_variables={"q": "x"},
):
    with tracer.start_as_current_span(
        "forecaster",
        attributes={
            "openinference.span.kind": "AGENT",
            "input.value": "What is the weather in Oslo?",
            "session.id": "chat-7",
            "user.id": "ada",
        },
    ) as root:
        question = {"role": "user", "content": "What is the weather in Oslo?"}
        messages = [{"role": "system", "content": "Be brief."}, question]
        tools = [{"type": "function", "function": TOOL}]
        answer = client.chat.completions.create(model="ok", messages=messages, tools=tools)
        call = answer.choices[0].message.tool_calls[0]
        with tracer.start_as_current_span(
            "weather",
            attributes={
                "openinference.span.kind": "TOOL",
                "tool.name": "weather",
                "tool.parameters": call.function.arguments,
                "input.value": call.function.arguments,
                "output.value": "rain",
            },
        ):
            pass
        messages += [
            answer.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        ]
        answer = client.chat.completions.create(model="ok", messages=messages, tools=tools)
        root.set_attribute("output.value", answer.choices[0].message.content)
        client.chat.completions.create(
            model="ok",
            messages=[{"role": "user", "content": [{"type": "text", "text": "And this?"}, IMAGE]}],
        )
        client.responses.create(model="ok", instructions="Be brief.", input="And in Bergen?")
        client.embeddings.create(model="ok", input=["Oslo", "Bergen"])
provider.shutdown()
