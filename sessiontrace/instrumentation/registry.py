"""Which libraries can be instrumented, which are, and why the others are not.

One ``Instruments`` for each process, called from any user thread. Invariant: a library that is
absent costs a string in a dictionary, and a fault of one instrumentor touches no other.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Collection
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.import_hooks import Hooks
from sessiontrace.runtime import log

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol

__all__ = ["GROUP", "InstrumentReport", "Instrumentor", "Instruments", "instruments", "targets"]

GROUP = "sessiontrace.instrumentors"
"""The entry-point group of third parties: name = the module to wait for, value = a factory."""


class Instrumentor(Protocol):
    """What installs into one library. ``name`` is the library's, as the report shows it.

    ``install`` is called with the module it waits for, once that is imported, and with the calls
    to record with; again when the module is reloaded. ``uninstall`` takes everything back.
    """

    name: str

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Put the hooks in."""
        ...

    def uninstall(self) -> None:
        """Take the hooks out."""
        ...


class Entry(NamedTuple):
    """One library: its name, the module to wait for, and how its instrumentor is made.

    ``by_default``: whether it is instrumented when no names are given.
    """

    name: str
    target: str
    make: Callable[[], Instrumentor]
    by_default: bool = True


class InstrumentReport(NamedTuple):
    """What ``instrument`` achieved, each a mapping from a library's name to a sentence.

    ``active``: its calls are recorded. ``waiting``: installed, and instrumented as soon as the
    program imports it. ``absent``: not installed. ``failed``: the library is not of a form we
    know, or its plug-in is broken. ``blocked``: the caller did not want it.
    """

    active: dict[str, str]
    waiting: dict[str, str]
    absent: dict[str, str]
    failed: dict[str, str]
    blocked: dict[str, str]

    def __str__(self) -> str:
        return "\n".join(
            f"{state:8} {name}: {reason}"
            for state, found in self._asdict().items()
            for name, reason in found.items()
        )


def _library(module: str, name: str, *arguments: str) -> Callable[[], Instrumentor]:
    def make() -> Instrumentor:
        made = getattr(importlib.import_module(f"sessiontrace.instrumentation.{module}"), name)
        instrumentor: Instrumentor = made(*arguments)
        return instrumentor

    return make


_BUILT_IN = (
    Entry("openai", "openai._base_client", _library("openai_family.patch", "Stainless", "openai")),
    Entry(
        "anthropic",
        "anthropic._base_client",
        _library("openai_family.patch", "Stainless", "anthropic"),
    ),
    Entry("groq", "groq._base_client", _library("openai_family.patch", "Stainless", "groq")),
    Entry("google-genai", "google.genai._api_client", _library("libraries.google_genai", "Gemini")),
    Entry("mistralai", "mistralai.client.chat", _library("libraries.mistralai", "Mistral")),
    Entry("cohere", "cohere.v2.client", _library("libraries.cohere", "Cohere")),
    Entry("ollama", "ollama._client", _library("libraries.ollama", "Ollama")),
    Entry("bedrock", "botocore.client", _library("libraries.bedrock", "Bedrock")),
    Entry("litellm", "litellm.main", _library("libraries.litellm", "LiteLlm")),
    Entry(
        "llama-index",
        "llama_index.core.instrumentation",
        _library("libraries.llama_index", "LlamaIndex"),
    ),
    Entry("pydantic-ai", "pydantic_ai", _library("libraries.pydantic_ai", "PydanticAi")),
    Entry(
        "langchain",
        "langchain_core.callbacks.manager",
        _library("libraries.langchain", "LangChain"),
    ),
    Entry("openai-agents", "agents.tracing", _library("libraries.openai_agents", "OpenAIAgents")),
    Entry("mcp", "mcp.client.session", _library("libraries.mcp", "Mcp")),
    Entry("celery", "celery.signals", _library("libraries.celery", "Celery")),
    Entry(
        "uvicorn",
        "uvicorn.config",
        _library("web.asgi_servers", "Server", "uvicorn", "Config", "load", "loaded_app"),
        by_default=False,
    ),
    Entry(
        "gunicorn",
        "gunicorn.workers.gasgi",
        _library("web.asgi_servers", "Server", "gunicorn", "ASGIWorker", "load_wsgi", "asgi"),
        by_default=False,
    ),
)


_instruments: Instruments | None = None


def instruments(switch: TracerProtocol) -> Instruments:
    """The one ``Instruments`` of this process, recording to ``switch`` from now on."""
    global _instruments
    if _instruments is None:
        _instruments = Instruments(switch)
    _instruments.calls.switch = switch
    return _instruments


def targets() -> list[str]:
    """The modules that instrumentors wait for, those of plug-ins included."""
    return [entry.target for entry in (*_BUILT_IN, *_plug_ins())]


class Instruments:
    """The instrumentors of this process and their state."""

    def __init__(self, switch: TracerProtocol) -> None:
        self.calls = CallRecorder(switch)
        self._lock = threading.RLock()
        self._hooks = Hooks(self._failed)
        self._entries: dict[str, Entry] = {}
        self._made: dict[str, Instrumentor] = {}
        self._installed: dict[str, Instrumentor] = {}
        self._faults: dict[str, str] = {}
        self._blocked: set[str] = set()

    def add(self, names: Collection[str], block: Collection[str]) -> InstrumentReport:
        """Instrument ``names`` (none: all that are known) but not ``block``."""
        with self._lock:
            self.calls.enabled = True
            self._hooks.look_again()
            for entry in self._known(names):
                if entry.name in self._entries:
                    continue
                wanted = entry.name in names if names else entry.by_default
                if not wanted or entry.name in block:
                    self._blocked.add(entry.name)
                else:
                    self._blocked.discard(entry.name)
                    self._entries[entry.name] = entry
                    self._hooks.add(entry.target, self._hook(entry))
            return self._report(names)

    def remove(self) -> None:
        """Take every hook out again."""
        with self._lock:
            self.calls.enabled = False
            self._hooks.clear()
            for name, instrumentor in self._installed.items():
                try:
                    instrumentor.uninstall()
                except Exception as error:
                    self._failed(name, error)
            self._entries.clear()
            self._made.clear()
            self._installed.clear()
            self._faults.clear()
            self._blocked.clear()

    def _known(self, names: Collection[str]) -> list[Entry]:
        known = list(_BUILT_IN)
        known += _plug_ins()
        for name in names:
            if all(entry.name != name for entry in known):
                self._faults[name] = "no instrumentor of this name is known"
        return known

    def _hook(self, entry: Entry) -> Callable[[ModuleType], None]:
        # Without our lock: the thread holds the import lock of the library, and an instrumentor
        # may import more of it.
        def hook(module: ModuleType) -> None:
            try:
                instrumentor = self._made.get(entry.name)
                if instrumentor is None:
                    instrumentor = self._made.setdefault(entry.name, entry.make())
                instrumentor.install(module, self.calls)
            except Exception as error:
                self._failed(entry.name, error)
            else:
                self._installed[entry.name] = instrumentor
                self._faults.pop(entry.name, None)

        return hook

    def _failed(self, name: str, error: Exception) -> None:
        self._faults[name] = f"{type(error).__name__}: {error}"
        log.log_once(
            f"instrument:{name}", "%s cannot be instrumented: %s", name, self._faults[name]
        )

    def _report(self, names: Collection[str]) -> InstrumentReport:
        report = InstrumentReport({}, {}, {}, {}, {})
        for name, entry in self._entries.items():
            if names and name not in names:
                continue
            if name in self._faults:
                continue
            if name in self._installed:
                report.active[name] = entry.target
            elif _is_there(entry.target):
                report.waiting[name] = f"until {entry.target} is imported"
            else:
                report.absent[name] = f"{name} is not installed"
        for name, fault in self._faults.items():
            report.failed[name] = fault
        for name in sorted(self._blocked):
            report.blocked[name] = "not asked for"
        return report


def _is_there(target: str) -> bool:
    """Whether the package is installed; nothing is imported.

    Its top level tells, unless that is a namespace that several packages share (``google``).
    """
    path = None
    parts = target.split(".")
    try:
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if getattr(sys.modules.get(name), "__file__", None) is not None:
                return True
            spec = PathFinder.find_spec(name, path)
            if spec is None or spec.loader is not None:
                return spec is not None
            path = spec.submodule_search_locations
    except Exception:  # a broken path entry
        return False
    return True


_found_plug_ins: list[Entry] | None = None


def _plug_ins() -> list[Entry]:
    """The entry points of third parties, read once: that takes milliseconds in a large venv."""
    global _found_plug_ins
    if os.environ.get("SESSIONTRACE_PLUGINS", "1") in ("0", "false", "off"):
        return []
    if _found_plug_ins is None:
        _found_plug_ins = []
        try:
            from importlib.metadata import entry_points

            for point in entry_points(group=GROUP):
                name = point.value.partition(":")[0].partition(".")[0]
                _found_plug_ins.append(Entry(name, point.name, _loaded(point)))
        except Exception as error:
            log.log_once("instrument:plugins", "plug-ins cannot be read (%s)", type(error).__name__)
    return _found_plug_ins


def _loaded(point: Any) -> Callable[[], Instrumentor]:
    def make() -> Instrumentor:
        instrumentor: Instrumentor = point.load()()
        return instrumentor

    return make
