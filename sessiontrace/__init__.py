"""Session tracing for LLM applications.

The public names: the functions of ``sessiontrace.api`` and the classes and modules of the table
``_PLACES``; each is documented where it is defined. Importing this package starts no thread, opens
no file and reads no environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiontrace import api
from sessiontrace.api import aflush as aflush
from sessiontrace.api import agent as agent
from sessiontrace.api import asgi as asgi
from sessiontrace.api import ashutdown as ashutdown
from sessiontrace.api import aws_lambda as aws_lambda
from sessiontrace.api import chain as chain
from sessiontrace.api import current_session as current_session
from sessiontrace.api import current_span as current_span
from sessiontrace.api import embedding as embedding
from sessiontrace.api import evaluator as evaluator
from sessiontrace.api import extract as extract
from sessiontrace.api import flush as flush
from sessiontrace.api import grpc as grpc
from sessiontrace.api import guardrail as guardrail
from sessiontrace.api import init as init
from sessiontrace.api import inject as inject
from sessiontrace.api import instrument as instrument
from sessiontrace.api import model as model
from sessiontrace.api import retriever as retriever
from sessiontrace.api import score as score
from sessiontrace.api import session as session
from sessiontrace.api import shutdown as shutdown
from sessiontrace.api import span as span
from sessiontrace.api import start_span as start_span
from sessiontrace.api import stats as stats
from sessiontrace.api import stream as stream
from sessiontrace.api import suppress as suppress
from sessiontrace.api import tool as tool
from sessiontrace.api import trace as trace
from sessiontrace.api import uninstrument as uninstrument
from sessiontrace.api import update as update
from sessiontrace.api import wsgi as wsgi
from sessiontrace.model.errors import ConfigError as ConfigError
from sessiontrace.model.errors import SessionTraceError as SessionTraceError
from sessiontrace.tracer import Tracer as Tracer

__version__ = "0.1.0"

_PLACES = {
    "Braintrust": "sessiontrace.vendors.otlp_backends.braintrust",
    "ConfigError": "sessiontrace.model.errors",
    "Datadog": "sessiontrace.vendors.otlp_backends.datadog",
    "HoneyHive": "sessiontrace.vendors.honeyhive.destination",
    "Honeycomb": "sessiontrace.vendors.otlp_backends.honeycomb",
    "Humanloop": "sessiontrace.vendors.humanloop.destination",
    "InstrumentReport": "sessiontrace.instrumentation.registry",
    "LangSmith": "sessiontrace.vendors.otlp_backends.langsmith",
    "Langfuse": "sessiontrace.vendors.otlp_backends.langfuse",
    "Local": "sessiontrace.vendors.local.destination",
    "Logfire": "sessiontrace.vendors.otlp_backends.logfire",
    "MLflow": "sessiontrace.vendors.otlp_backends.mlflow",
    "OTLP": "sessiontrace.vendors.otlp.destination",
    "Opik": "sessiontrace.vendors.otlp_backends.opik",
    "Phoenix": "sessiontrace.vendors.otlp_backends.phoenix",
    "PostHog": "sessiontrace.vendors.posthog.destination",
    "Report": "sessiontrace.report",
    "Sample": "sessiontrace.model.sampling",
    "SessionTraceError": "sessiontrace.model.errors",
    "Stats": "sessiontrace.report",
    "Tracer": "sessiontrace.tracer",
    "clients": "sessiontrace.clients",
    "logging": "sessiontrace.logging",
    "otel": "sessiontrace.otel",
}
"""Where each public class and module is; what is not imported above loads on first use."""

if TYPE_CHECKING:  # what a type checker cannot read from the table
    from sessiontrace import clients as clients
    from sessiontrace import logging as logging
    from sessiontrace import otel as otel
    from sessiontrace.instrumentation.registry import InstrumentReport as InstrumentReport
    from sessiontrace.model.sampling import Sample as Sample
    from sessiontrace.report import Report as Report
    from sessiontrace.report import Stats as Stats
    from sessiontrace.vendors.honeyhive.destination import HoneyHive as HoneyHive
    from sessiontrace.vendors.humanloop.destination import Humanloop as Humanloop
    from sessiontrace.vendors.local.destination import Local as Local
    from sessiontrace.vendors.otlp.destination import OTLP as OTLP
    from sessiontrace.vendors.otlp_backends.braintrust import Braintrust as Braintrust
    from sessiontrace.vendors.otlp_backends.datadog import Datadog as Datadog
    from sessiontrace.vendors.otlp_backends.honeycomb import Honeycomb as Honeycomb
    from sessiontrace.vendors.otlp_backends.langfuse import Langfuse as Langfuse
    from sessiontrace.vendors.otlp_backends.langsmith import LangSmith as LangSmith
    from sessiontrace.vendors.otlp_backends.logfire import Logfire as Logfire
    from sessiontrace.vendors.otlp_backends.mlflow import MLflow as MLflow
    from sessiontrace.vendors.otlp_backends.opik import Opik as Opik
    from sessiontrace.vendors.otlp_backends.phoenix import Phoenix as Phoenix
    from sessiontrace.vendors.posthog.destination import PostHog as PostHog
else:
    __all__ = [*api.__all__, *_PLACES]


def __getattr__(name: str) -> Any:
    """Import a public class or module when a program first uses it."""
    import importlib

    if name == "__compiled__":
        return importlib.import_module("sessiontrace.capture.encoding.record_body").COMPILED
    place = "sessiontrace.testing" if name == "testing" else _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(place)
    value = module if place == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names only."""
    return sorted({*api.__all__, *_PLACES, "testing"})
