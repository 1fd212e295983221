"""OpenTelemetry's own SDK and exporter (protobuf over HTTP, gzip); the server's URL is given.

Prints the session's id.
"""

from __future__ import annotations

import sys
import uuid

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

provider = TracerProvider(resource=Resource.create({"service.name": "clients"}))
exporter = OTLPSpanExporter(endpoint=f"{sys.argv[1]}/v1/traces", compression=Compression.Gzip)
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("official")

with tracer.start_as_current_span("official") as root:
    session_id = str(uuid.UUID(int=root.get_span_context().trace_id))
    with tracer.start_as_current_span("chat gpt-x") as call:
        call.set_attribute("gen_ai.operation.name", "chat")
        call.set_attribute("gen_ai.request.model", "gpt-x")
        call.set_attribute("gen_ai.usage.input_tokens", 3)
        call.set_attribute("gen_ai.usage.output_tokens", 1)
        call.set_attribute(
            "gen_ai.input.messages",
            '[{"role":"user","parts":[{"type":"text","content":"6 x 7"}]}]',
        )
        with tracer.start_as_current_span("tool") as tool:
            tool.set_attribute("gen_ai.operation.name", "execute_tool")
            tool.set_attribute("gen_ai.tool.name", "look_up")
            tool.set_attribute("gen_ai.tool.call.arguments", '{"word": "x"}')
            tool.record_exception(TimeoutError("no answer"))
            tool.set_status(Status(StatusCode.ERROR))
assert provider.force_flush()
provider.shutdown()
print(session_id)
