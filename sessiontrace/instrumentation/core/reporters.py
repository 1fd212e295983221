"""The frameworks that report here, so that OpenTelemetry's spans of them are no events.

A framework that an instrumentor listens to is often traced by OpenTelemetry as well, by a package
such as OpenInference's or by itself. Spans carry the name of what made them, their scope.

Runs where spans start. Invariant: a framework counts only while its instrumentor gets the reports.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

__all__ = ["framework_of", "is_reported", "reporters", "reports_models"]

reporters: dict[str, Callable[[], bool]] = {}
"""The libraries that report here, each with a test of whether it still does."""

# The spans that Strands and Google ADK make themselves are what their instrumentors read.
_LIBRARIES = {
    "langchain": "langchain",
    "langgraph": "langchain",
    "langsmith": "langchain",
    "llama_index": "llama_index",
    "llamaindex": "llama_index",
    "openai_agents": "openai_agents",
    "mcp": "mcp",
    "gcp_vertex_agent": "gcp_vertex_agent",
    "instrumentation_ag2": "ag2",
    "strands_telemetry": "strands_telemetry",
    **{
        name: name
        for name in (
            *("agno", "autogen", "crewai", "dspy", "google_adk", "haystack", "semantic_kernel"),
            *("smolagents", "strands"),
        )
    },
}


_MODELS_BY_SDKS = frozenset({"agno", "autogen", "semantic_kernel", "smolagents"})
"""The frameworks whose instrumentors leave the calls of models to the SDKs' instrumentors."""


def reports_models(scope: str) -> bool:
    """Whether the instrumentor of this scope's framework reports the calls of models, too."""
    return framework_of(scope) not in _MODELS_BY_SDKS


def is_reported(scope: str) -> bool:
    """Whether spans of this scope are about what an instrumentor reports already."""
    if not reporters:
        return False
    reports = reporters.get(framework_of(scope) or "")
    return reports is not None and reports()


@functools.lru_cache(256)
def framework_of(scope: str) -> str | None:
    """The framework that spans of this scope are about; None: a model's SDK, or something else."""
    words = re.sub(r"[^a-z0-9]+", "_", scope.lower())
    names = [name for name in _LIBRARIES if name in words]
    return _LIBRARIES[max(names, key=len)] if names else None
