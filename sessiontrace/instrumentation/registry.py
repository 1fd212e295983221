"""Which libraries can be instrumented, which are, and why the others are not.

One ``Instruments`` for each process, called from any user thread. Invariant: for a library that the
program does not import, the registry keeps three strings and imports nothing, and a fault of one
instrumentor touches no other.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Collection, Iterator
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from sessiontrace.instrumentation import (
    compatible,
    frameworks,
    libraries,
    sockets,
    stores,
    web,
)
from sessiontrace.instrumentation.core.instrumentor import Entry, Instrumentor
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.import_hooks import Hooks
from sessiontrace.runtime import log
from sessiontrace.runtime.reentrant_lock import ReentrantLock
from sessiontrace.runtime.signals import raise_if_from_signal

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol

__all__ = [
    "GROUP",
    "PACKAGES",
    "InstrumentReport",
    "Instruments",
    "built_in",
    "instruments",
    "targets",
]

GROUP = "sessiontrace.instrumentors"
"""The entry-point group of third parties: name = the module to wait for, value = a factory."""

PACKAGES = (libraries, frameworks, compatible, sockets, stores, web)
"""The packages whose modules declare an instrumentor each."""

_ENTRY = re.compile(
    rb'^ENTRY = Entry\(\s*name="([^"]+)",\s*target="([^"]+)",\s*make=\w+'
    rb"(,\s*by_default=False)?(?:,\s*serves=\(([^)]*)\))?(?:,\s*also=\(([^)]*)\))?,?\s*\)$",
    re.MULTILINE,
)


class InstrumentReport(NamedTuple):
    """What ``instrument`` achieved: mappings from a library's name to a sentence.

    ``active``: its calls are recorded. ``waiting``: installed, and instrumented as soon as the
    program imports it. ``absent``: not installed. ``failed``: this version of the library is not
    supported, or its plug-in is broken. ``blocked``: the caller excluded it.
    """

    active: dict[str, str]
    waiting: dict[str, str]
    absent: dict[str, str]
    failed: dict[str, str]
    blocked: dict[str, str]

    def _repr_html_(self) -> str | None:
        """The report in a notebook."""
        from sessiontrace.text.html_tree import html_or_none, table_html

        rows = [
            (state, name, reason)
            for state, libraries in self._asdict().items()
            if state != "absent"
            for name, reason in libraries.items()
        ]
        title = f"{len(self.active)} libraries instrumented, {len(self.absent)} not installed"
        return html_or_none(lambda: table_html(title, ("state", "library", ""), rows))

    def __str__(self) -> str:
        return "\n".join(
            f"{state:8} {name}: {reason}"
            for state, libraries in self._asdict().items()
            for name, reason in libraries.items()
        )


_instruments: Instruments | None = None


def instruments(tracer: TracerProtocol) -> Instruments:
    """The one ``Instruments`` of this process, recording to ``tracer`` from now on."""
    global _instruments
    if _instruments is None:
        _instruments = Instruments(tracer)
    _instruments.calls.tracer = tracer
    return _instruments


def targets() -> list[str]:
    """The modules that instrumentors wait for, plug-ins included."""
    entries = (*built_in(), *_plug_ins())
    return [target for entry in entries for target in (entry.target, *entry.also)]


class Instruments:
    """The instrumentors of this process and their state."""

    def __init__(self, tracer: TracerProtocol) -> None:
        self.calls: CallRecorder = CallRecorder(tracer)
        self._lock = ReentrantLock()
        self._hooks = Hooks(self._failed)
        self._entries: dict[str, Entry] = {}
        self._instrumentors: dict[str, Instrumentor] = {}
        self._installed: dict[str, Instrumentor] = {}
        self._faults: dict[str, str] = {}
        self._broken: dict[str, str] = {}  # the module that an instrumentor could not be put into
        self._blocked: set[str] = set()

    def add(
        self, names: Collection[str], block: Collection[str], *, logprobs: bool | None = None
    ) -> InstrumentReport:
        """Instrument the libraries ``names`` (default: all of them) except ``block``.

        ``logprobs``: whether to record log probabilities; None: as before.
        """
        with self._lock:
            self.calls.enabled = True
            if logprobs is not None:
                self.calls.logprobs = logprobs
            self._hooks.fire_completed()
            for entry in self._known(names):
                if entry.name in self._entries:
                    continue
                selected = not {entry.name, *entry.serves}.isdisjoint(names)
                if not names:
                    selected = entry.by_default
                if not selected or entry.name in block:
                    self._blocked.add(entry.name)
                else:
                    self._blocked.discard(entry.name)
                    self._entries[entry.name] = entry
                    for target in (entry.target, *entry.also):
                        self._hooks.add(target, self._hook(entry))
            return self._report(names)

    def remove(self) -> None:
        """Take every hook out."""
        with self._lock:
            self.calls.enabled = False
            self._hooks.clear()
            for name, instrumentor in self._installed.items():
                try:
                    instrumentor.uninstall()
                except Exception as error:
                    raise_if_from_signal(error)
                    self._failed(name, error)
            self._entries.clear()
            self._instrumentors.clear()
            self._installed.clear()
            self._faults.clear()
            self._broken.clear()
            self._blocked.clear()

    def _known(self, names: Collection[str]) -> list[Entry]:
        entries = [*built_in(), *_plug_ins()]
        for name in names:
            if all(entry.name != name for entry in entries):
                self._faults[name] = "there is no instrumentor of this name"
        return entries

    def _hook(self, entry: Entry) -> Callable[[ModuleType], None]:
        # Takes no lock: the thread holds the import lock of the library, and an instrumentor may
        # import further modules of it.
        def hook(module: ModuleType) -> None:
            if self._broken.get(entry.name, module.__name__) != module.__name__:
                return  # another module of the library is not as expected: no half hooks
            instrumentor = None
            try:
                instrumentor = self._instrumentors.get(entry.name)
                if instrumentor is None:
                    instrumentor = self._instrumentors.setdefault(entry.name, entry.make())
                instrumentor.install(module, self.calls)
            except Exception as error:
                raise_if_from_signal(error)
                self._failed(entry.name, error)
                self._broken[entry.name] = module.__name__
                self._installed.pop(entry.name, None)
                _take_back(instrumentor)
            else:
                self._installed[entry.name] = instrumentor
                self._faults.pop(entry.name, None)
                if self._broken.pop(entry.name, None) is not None:  # reloaded, and right now
                    self._install_others(entry, module)

        return hook

    def _install_others(self, entry: Entry, module: ModuleType) -> None:
        """Put the hooks back into the other modules of a library, whose fault is gone."""
        for target in (entry.target, *entry.also):
            other = sys.modules.get(target)
            if other is not None and other is not module:
                self._hook(entry)(other)

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


def _take_back(instrumentor: Instrumentor | None) -> None:
    """Undo an install that failed: half of the hooks would record half of the calls."""
    if instrumentor is None:
        return
    try:
        instrumentor.uninstall()
    except Exception as fault:  # it was not installed as a whole, and its failure is reported
        raise_if_from_signal(fault)


def _is_there(target: str) -> bool:
    """Whether the package of ``target`` is installed; imports nothing.

    It is when its top level can be found, unless that is a namespace that several packages share
    (``google``): then the next level decides.
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
    except Exception as fault:  # a broken path entry
        raise_if_from_signal(fault)
        return False
    return True


_built_in: list[Entry] | None = None


def built_in() -> list[Entry]:
    """The entries of the modules in ``PACKAGES``, read once.

    Each module there declares its own as ``ENTRY``. The registry takes the strings from the
    module's text and imports the module when the library has been imported.
    """
    global _built_in
    if _built_in is None:
        _built_in = [
            entry
            for package in PACKAGES
            for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
            for entry in _declared(module)
        ]
    return _built_in


def _declared(module: pkgutil.ModuleInfo) -> Iterator[Entry]:
    finder: Any = module.module_finder
    spec = finder.find_spec(module.name)
    if spec.origin.endswith(".py"):
        text = spec.loader.get_data(spec.origin)
        match = _ENTRY.match(
            text, text.rfind(b"\nENTRY = ") + 1
        )  # a search takes five times as long
        if match is not None:
            name, target, not_by_default, serves, also = match.groups()
            yield Entry(
                name.decode(),
                target.decode(),
                _maker(module.name),
                by_default=not not_by_default,
                serves=_names(serves),
                also=_names(also),
            )
    else:  # compiled, without its source
        entry = getattr(importlib.import_module(module.name), "ENTRY", None)
        if entry is not None:
            yield entry


def _names(text: bytes | None) -> tuple[str, ...]:
    return tuple(re.findall(r'"([^"]+)"', (text or b"").decode()))


def _maker(module: str) -> Callable[[], Instrumentor]:
    def make() -> Instrumentor:
        entry: Entry = importlib.import_module(module).ENTRY
        return entry.make()

    return make


_read_plug_ins: list[Entry] | None = None


def _plug_ins() -> list[Entry]:
    """The entry points of third parties, read once, because that takes milliseconds."""
    global _read_plug_ins
    if os.environ.get("SESSIONTRACE_PLUGINS", "1") in ("0", "false", "off"):
        return []
    if _read_plug_ins is None:
        _read_plug_ins = []
        try:
            from importlib.metadata import entry_points

            for point in entry_points(group=GROUP):
                name = point.value.partition(":")[0].partition(".")[0]
                _read_plug_ins.append(Entry(name, point.name, _loader(point)))
        except Exception as error:
            raise_if_from_signal(error)
            log.log_once("instrument:plugins", "plug-ins cannot be read (%s)", type(error).__name__)
    return _read_plug_ins


def _loader(point: Any) -> Callable[[], Instrumentor]:
    def make() -> Instrumentor:
        instrumentor: Instrumentor = point.load()()
        return instrumentor

    return make
