"""The peers' virtual environments: one each, under ``benchmarks/.peers``, which git ignores.

Run as a script it makes them, one after the other. It can be stopped and started again: what is
ready stays. A peer that cannot be installed is reported and left out of the comparison. They take
about 1.2 GB together.

Invariant: an environment is used only when its stamp says that what its adapter asks for was
installed; what could not be installed has a note that says why. A measured process sees nothing of
the user's own settings.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from peers import NAMES, OURS

__all__ = [
    "adapter",
    "command",
    "facts",
    "failed",
    "install",
    "ready",
    "run",
    "run_by",
    "surroundings",
    "title",
]

HERE = Path(__file__).resolve().parent
HOME = HERE / ".peers"
PATIENCE_S = 1200
RUN_S = 300

Figures = dict[str, Any]

_FACTS = """
import importlib.metadata as m, importlib.util as u, json, pathlib, sys
skip = {"pip", "setuptools", "wheel"}
found = [d for d in m.distributions() if d.name.lower() not in skip]
sizes = [f.locate() for d in found for f in d.files or () if f.suffix != ".pyc"]
own = [p for place in (u.find_spec("sessiontrace") or u).submodule_search_locations or ()
       for p in pathlib.Path(place).rglob("*") if p.suffix != ".pyc"
       ] if u.find_spec("sessiontrace") else []
sizes = {str(p.resolve()): p.stat().st_size for p in [*sizes, *own] if p.is_file()}
print(json.dumps({"version": m.version(sys.argv[1]), "distributions": len(found),
                  "mib": sum(sizes.values()) / 2**20}))
"""


def adapter(name: str) -> Any:
    """The adapter's module: it imports its package only when started."""
    return importlib.import_module(f"peers.{name}")


def title(name: str) -> str:
    """What people call it: the package."""
    found = adapter(name)
    return str(found.PACKAGES[0] if found.PACKAGES else found.TITLE)


def place(name: str) -> Path:
    """Ours share one environment."""
    return HOME / ("sessiontrace" if name.startswith("sessiontrace") else name)


def run_by(name: str) -> str:
    """The Python that runs an adapter: of its environment; ours can do with the running one."""
    if name.startswith(OURS[0]) and not ready(name):
        return sys.executable
    return str(place(name) / "bin" / "python")


def asked(name: str) -> list[str]:
    """What pip is to install; nothing named means this repository."""
    return list(adapter(name).PACKAGES) or ["--editable", str(HERE.parent)]


def ready(name: str) -> bool:
    """Whether its environment has all it asks for."""
    stamp = place(name) / ".installed"
    return stamp.exists() and stamp.read_text() == " ".join(asked(name))


def failed(name: str) -> str:
    """Why it could not be installed, or empty."""
    note = place(name).with_suffix(".failed")
    return note.read_text() if note.exists() else ""


def install(name: str) -> str:
    """Make its environment, unless it is ready; "ready", "installed in N s" or "failed: ..."."""
    if ready(name):
        return "ready"
    home, note, begun = place(name), place(name).with_suffix(".failed"), time.monotonic()
    home.parent.mkdir(exist_ok=True)
    (home.parent / ".gitignore").write_text("*\n")
    python = str(home / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = (
        [sys.executable, "-m", "venv", str(home)],
        [*pip, "--upgrade", "pip>=25.1"],  # older ones take minutes over some of them
        [*pip, *asked(name)],
    )
    for command in steps:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired:
            note.write_text(f"not installed within {PATIENCE_S} s")
            return f"failed: {failed(name)}"
        if done.returncode:
            note.write_text((done.stderr.strip().splitlines() or ["pip failed"])[-1][:300])
            return f"failed: {failed(name)}"
    note.unlink(missing_ok=True)
    (home / ".installed").write_text(" ".join(asked(name)))
    return f"installed in {time.monotonic() - begun:.0f} s"


def facts(name: str) -> Figures:
    """Version, distributions and MiB of files, of what is installed."""
    package = next(iter(adapter(name).PACKAGES), "sessiontrace")
    asked = [run_by(name), "-c", _FACTS, package]
    found: Figures = json.loads(subprocess.check_output(asked, text=True))
    return found


def surroundings(scratch: str) -> dict[str, str]:
    """The environment of a measured process: nothing of the user's own, no way out."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "HOME": scratch,
        "BENCHMARK_SCRATCH": f"{scratch}/spool",
        "PYTHONPATH": str(HERE),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "localhost,127.0.0.1",
    }


def command(name: str, what: str, **asked: Any) -> list[str]:
    """How a figure of an adapter is measured, by the Python of its environment."""
    return [run_by(name), "-m", "peers.worker", name, json.dumps({"what": what, **asked})]


def run(asked: list[str], scratch: str) -> Figures:
    """One measured process; ``{"failed": why}`` where it did not come through."""
    try:
        done = subprocess.run(
            asked, env=surroundings(scratch), cwd=scratch, capture_output=True, text=True,
            timeout=RUN_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"not within {RUN_S} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return {"failed": (done.stderr.strip().splitlines() or ["no figures"])[-1]}
    found: Figures = json.loads(lines[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="only these")
    for name in parser.parse_args().names or [OURS[0], *NAMES]:
        print(f"{name:<14}", end=" ", flush=True)
        print(install(name), flush=True)


if __name__ == "__main__":
    main()
