"""ddtrace: LLM Observability by its decorator, to an agent."""

from __future__ import annotations

import functools
import os
from typing import Any

PACKAGES = ("ddtrace",)
IMPORT = "from ddtrace.llmobs import LLMObs\nfrom ddtrace.llmobs.decorators import llm"
SETTINGS = "through an agent, integrations off, buffer of 100 000; APM spans go as well"
ROOTS = 1

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    os.environ |= {
        "DD_TRACE_AGENT_URL": url,
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_TRACE_ENABLED": str(enabled).lower(),
        "DD_LLMOBS_ENABLED": str(enabled).lower(),
    }
    from ddtrace.llmobs import LLMObs, _writer, decorators

    _writer.BaseLLMObsWriter.BUFFER_LIMIT = 100_000
    if enabled:
        LLMObs.enable(ml_app="benchmark", integrations_enabled=False, agentless_enabled=False)
    _here.extend((LLMObs, decorators))


def decorate(function: Any) -> Any:
    observed, decorators = _here

    @decorators.llm(name="step", model_name="m", model_provider="p")
    @functools.wraps(function)
    def traced(messages: Any) -> Any:
        answer = function(messages)
        if observed.enabled:
            observed.annotate(input_data=messages, output_data=answer["answer"])
        return answer

    return traced


def session() -> Any:
    return _here[0].workflow("benchmark")


def flush() -> None:
    from ddtrace.trace import tracer

    tracer.flush()
    _here[0].flush()
