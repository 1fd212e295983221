# /// script
# dependencies = [
#     "azure-ai-inference", "azure-core-tracing-opentelemetry",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""Azure AI Inference's own tracing; its messages are events of its spans."""

import os

# --8<-- [start:setup]
os.environ["AZURE_TRACING_GEN_AI_CONTENT_RECORDING_ENABLED"] = "true"
from azure.ai.inference.tracing import AIInferenceInstrumentor
from azure.core.settings import settings
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

settings.tracing_implementation = "opentelemetry"
provider = TracerProvider()
exporter = OTLPSpanExporter(os.environ["SESSIONTRACE_URL"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
AIInferenceInstrumentor().instrument()
# --8<-- [end:setup]
from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.models import (
    AssistantMessage,
    ChatCompletionsToolDefinition,
    FunctionDefinition,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from azure.core.credentials import AzureKeyCredential

client = ChatCompletionsClient(os.environ["OPENAI_BASE_URL"], AzureKeyCredential("any"))
tools = [
    ChatCompletionsToolDefinition(
        function=FunctionDefinition(
            name="weather",
            parameters={"type": "object", "properties": {"city": {"type": "string"}}},
        )
    )
]
messages = [SystemMessage("Be brief."), UserMessage("What is the weather in Oslo?")]
with provider.get_tracer("shop").start_as_current_span("forecast"):
    answer = client.complete(model="ok", messages=messages, tools=tools)
    calls = answer.choices[0].message.tool_calls
    messages += [AssistantMessage(tool_calls=calls), ToolMessage("rain", tool_call_id=calls[0].id)]
    client.complete(model="ok", messages=messages, tools=tools, temperature=0.5)
provider.shutdown()
