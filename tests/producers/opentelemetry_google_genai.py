# /// script
# dependencies = [
#     "google-genai<3", "opentelemetry-instrumentation-google-genai",
#     "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
# ]
# ///
"""OpenTelemetry's instrumentation of Google's Gen AI SDK, its messages in log records."""

import os

# --8<-- [start:setup]
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "EVENT_ONLY"
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["SESSIONTRACE_URL"]
provider, logs = TracerProvider(), LoggerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
GoogleGenAiSdkInstrumentor().instrument(tracer_provider=provider, logger_provider=logs)
# --8<-- [end:setup]
from google import genai
from google.genai import types

client = genai.Client(http_options=types.HttpOptions(base_url=os.environ["GOOGLE_GEMINI_BASE_URL"]))
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = types.FunctionDeclaration(name="weather", parameters_json_schema=CITY)
config = types.GenerateContentConfig(
    system_instruction="Be brief.", tools=[types.Tool(function_declarations=[WEATHER])]
)
picture = types.Part.from_bytes(data=b"GIF89a", mime_type="image/gif")
question = types.Part(text="What is the weather in Oslo?")
with provider.get_tracer("shop").start_as_current_span("forecaster"):
    chat = [types.Content(role="user", parts=[picture, question])]
    reply = client.models.generate_content(model="gemini-ok", contents=chat, config=config)
    result = types.Part.from_function_response(name="weather", response={"result": "rain"})
    chat += [reply.candidates[0].content, types.Content(role="user", parts=[result])]
    client.models.generate_content(model="gemini-ok", contents=chat, config=config)
provider.shutdown()
logs.shutdown()
