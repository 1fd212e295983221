"""The application through OpenInference's instrumentation, on OpenTelemetry's SDK."""

from __future__ import annotations

import functools
import json

from exporters import exporter
from facts import CONVERSATION, METADATA, TAGS, USER
from openinference.instrumentation import TracerProvider, using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from sdks import Step

__all__ = ["PACKAGES", "OpenInference", "connect"]

PACKAGES = (
    "openinference-instrumentation-openai",
    "openinference-instrumentation",
    "opentelemetry-sdk",
    "openai",
)


class OpenInference:
    """Decorators of OpenInference's tracer."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("travel")

    def turn(self, function: Step, name: str) -> Step:
        """A chain, with the conversation's attributes on it and all below it."""
        chain = self._tracer.chain(name=name)(function)

        def opened(question: str) -> str:
            with using_attributes(
                session_id=CONVERSATION, user_id=USER, tags=TAGS, metadata=METADATA
            ):
                return str(chain(question))

        return opened

    def agent(self, function: Step, name: str) -> Step:
        """An agent's span."""
        return self._tracer.agent(name=name)(function)

    def retriever(self, function: Step, name: str) -> Step:
        """A retriever's span with its documents; there is no decorator for it."""

        @functools.wraps(function)
        def traced(query: str) -> object:
            with self._tracer.start_as_current_span(
                name, openinference_span_kind="retriever"
            ) as span:
                span.set_input(query)
                documents = function(query)
                for number, document in enumerate(documents):
                    prefix = f"retrieval.documents.{number}.document"
                    span.set_attributes({f"{prefix}.{key}": document[key] for key in document})
                span.set_output(json.dumps(documents), mime_type="application/json")
                span.set_status("OK")
                return documents

        return traced

    def tool(self, function: Step, name: str) -> Step:
        """A tool's span."""
        return self._tracer.tool(name=name, description="The weather in a city")(function)

    def score(self, name: str, value: float, comment: str) -> None:
        """Nothing: OpenInference sends no score of a span that either backend reads."""

    def score_conversation(self, name: str, value: float) -> None:
        """Nothing, as for turns."""

    def stop(self) -> None:
        """Deliver everything."""
        self._provider.shutdown()


def connect(backend: str, url: str, project: str) -> OpenInference:
    """Record into the backend, with OpenAI's client instrumented."""
    resource = Resource.create({"service.name": "travel", "openinference.project.name": project})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter(backend, url, project)))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return OpenInference(provider)
