"""OpenAI Agents: a trace processor beside the library's own.

``install`` runs on the thread that imports the library; what the processor records is in
``openai_agents_runs``. Invariant: the library's own processors stay.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.openai_agents_runs.processor import Processor
from sessiontrace.runtime.signals import raise_if_from_signal


class OpenAIAgents:
    """The instrumentor of openai-agents."""

    def __init__(self) -> None:
        self._processor: Processor | None = None
        self._provider: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Add a trace processor."""
        if self._processor is None:
            self._processor = Processor(calls)
            self._provider = module.get_trace_provider
            module.add_trace_processor(self._processor)
            reporters["openai_agents"] = self._reports

    def uninstall(self) -> None:
        """Remove the processor; where that is not possible, it records nothing more."""
        if self._processor is None:
            return
        reporters.pop("openai_agents", None)
        self._processor.calls = None
        try:
            processors = self._provider()._multi_processor
            processors._processors = tuple(
                processor
                for processor in processors._processors
                if processor is not self._processor
            )
        except (
            Exception
        ) as fault:  # the SDK has no way to remove a processor, and these are its internals
            raise_if_from_signal(fault)
        self._processor = None

    def _reports(self) -> bool:
        """Whether the processor is still there: others may have been set in place of all."""
        try:
            return self._processor in self._provider()._multi_processor._processors
        except Exception as fault:  # these are the SDK's internals
            raise_if_from_signal(fault)
            return True


ENTRY = Entry(name="openai-agents", target="agents.tracing", make=OpenAIAgents)
