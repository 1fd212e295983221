"""The application through OpenLLMetry, Traceloop's SDK."""

from __future__ import annotations

from exporters import exporter
from facts import CONVERSATION, METADATA, TAGS, USER
from opentelemetry import trace
from sdks import Step
from traceloop.sdk import Traceloop, decorators
from traceloop.sdk.instruments import Instruments
from traceloop.sdk.tracing import set_conversation_id

__all__ = ["PACKAGES", "OpenLLMetry", "connect"]

PACKAGES = (
    "traceloop-sdk",
    "opentelemetry-instrumentation-openai",
    "opentelemetry-sdk",
    "openai",
)


class OpenLLMetry:
    """Decorators of Traceloop's SDK."""

    def turn(self, function: Step, name: str) -> Step:
        """A workflow, with the conversation's properties on it and all below it."""
        workflow = decorators.workflow(name=name)(_plain(function))

        def opened(question: str) -> str:
            set_conversation_id(CONVERSATION)
            Traceloop.set_association_properties(
                {"session_id": CONVERSATION, "user_id": USER, "tags": TAGS, **METADATA}
            )
            return str(workflow(question))

        return opened

    def agent(self, function: Step, name: str) -> Step:
        """An agent's span."""
        return decorators.agent(name=name)(_plain(function))

    def retriever(self, function: Step, name: str) -> Step:
        """A task: there is no decorator for a retriever."""
        return decorators.task(name=name)(_plain(function))

    def tool(self, function: Step, name: str) -> Step:
        """A tool's span."""
        return decorators.tool(name=name)(_plain(function))

    def score(self, name: str, value: float, comment: str) -> None:
        """Nothing: its scores go to Traceloop's own API only."""

    def score_conversation(self, name: str, value: float) -> None:
        """Nothing, as for turns."""

    def stop(self) -> None:
        """Deliver everything."""
        trace.get_tracer_provider().shutdown()


def _plain(function: Step) -> Step:
    """A function of its own: the decorators write into what they decorate."""
    return lambda *args, **kwargs: function(*args, **kwargs)


def connect(backend: str, url: str, project: str) -> OpenLLMetry:
    """Record into the backend, with OpenAI's client instrumented."""
    Traceloop.init(
        app_name="travel",
        exporter=exporter(backend, url, project),
        resource_attributes={"openinference.project.name": project},
        instruments={Instruments.OPENAI},
        telemetry_enabled=False,
    )
    return OpenLLMetry()
