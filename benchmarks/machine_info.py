"""Where a figure was measured, and what a process used: cores, memory, processor time.

Values read from the system at the moment of the call. Invariant: what a system does not tell is
left out, never guessed.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

__all__ = ["describe", "forget_peak", "peak_mib", "pin", "resident_mib"]

_STATUS = Path("/proc/self/status")


def describe() -> dict[str, Any]:
    """The machine and the versions that a figure depends on."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(_allowed()),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }
    if load := _load():
        found["load"] = load
    for package in ("sessiontrace", "aiohttp", "orjson"):
        found[package] = importlib.metadata.version(package)
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _load() -> float | None:
    """Processes that wanted to run, averaged over the last minute."""
    try:
        return round(os.getloadavg()[0], 1)
    except OSError:
        return None


def _allowed() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(first: bool) -> None:
    """Keep this process on the first core; else off it, where there are several."""
    cores = _allowed()
    if len(cores) > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores[:1] if first else cores[1:])


def resident_mib() -> float:
    """Memory of this process that is in RAM now."""
    return _status("VmRSS") or peak_mib()


def peak_mib() -> float:
    """The most that was, since the start or since ``forget_peak``."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _UNIT


def forget_peak() -> None:
    """Let the peak begin anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


_UNIT = 1024 * 1024 if sys.platform == "darwin" else 1024


def _status(name: str) -> float | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) / 1024 if found else None
