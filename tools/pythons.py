"""Small environments for the other Pythons of this machine: what the tests' programs need to run.

``.venv/pythons/3.12`` and so on, each with the runtime dependencies, for every supported Python
that is on the PATH or among pyenv's versions; with ``--dev`` the oldest and the newest of them get
what the unit tests need, too. The program reports an environment that cannot be made and leaves it
out: tests skip it.

    python tools/pythons.py [--dev]
    python tools/pythons.py --ends      print the interpreters that can run the unit tests
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "pythons"
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
_PATIENCE_S = 420


def candidates(version: str) -> list[str]:
    """Interpreters that may be of this version, the likeliest first."""
    versions = Path.home() / ".pyenv" / "versions"
    pyenv = sorted(versions.glob(f"{version}.*/bin/python"), reverse=True)
    on_path = shutil.which(f"python{version}")  # perhaps a shim that refuses to run
    return [*map(str, pyenv), *([on_path] if on_path else [])]


def find(version: str) -> str | None:
    """An interpreter of this version that runs."""
    for python in candidates(version):
        code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return python
    return None


def make(version: str, python: str, dev: bool) -> bool:
    """Make or update the environment of this version; return whether it is usable."""
    home = PLACE / version
    stamp = home / (".installed-dev" if dev else ".installed")
    sources = [REPO / "pyproject.toml", *REPO.glob("sessiontrace/**/_*_c.p[xy]*")]
    newest = max(source.stat().st_mtime for source in sources)
    if stamp.exists() and stamp.stat().st_mtime >= newest:
        return True
    own = str(home / "bin" / "python")
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = [[*pip, "--editable", f"{REPO}[cli]"]]
    if not Path(own).exists():
        steps.insert(0, [python, "-m", "venv", str(home)])
    if dev:
        steps += [[*pip, "--upgrade", "pip>=25.1"], [*pip, "--group", "dev"]]
    for step in steps:
        try:
            done = subprocess.run(
                step, cwd=REPO, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired:
            print(f"python {version}: {' '.join(step[-2:])} took too long")
            return False
        if done.returncode:
            print(f"python {version}: {' '.join(step[-2:])} failed: {done.stderr.strip()[-300:]}")
            return False
    stamp.touch()
    return True


def ends() -> list[str]:
    """The oldest and the newest of the other Pythons, if they have what the unit tests need."""
    ready = [v for v in VERSIONS if (PLACE / v / ".installed-dev").exists()]
    return [str(PLACE / version / "bin" / "python") for version in ready]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dev", action="store_true", help="unit tests on the oldest and newest")
    parser.add_argument("--ends", action="store_true", help="print those interpreters")
    options = parser.parse_args()
    if options.ends:
        print("\n".join(ends()))
        return
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    pythons = {v: python for v in VERSIONS if v != running and (python := find(v))}
    outermost = [*pythons][:1] + [*pythons][-1:]
    for version, python in pythons.items():
        dev = options.dev and version in outermost
        if make(version, python, dev) or (dev and make(version, python, dev=False)):
            print(f"python {version}: ready in {PLACE / version}")
    if missing := [v for v in VERSIONS if v != running and v not in pythons]:
        print(f"no python {', '.join(missing)} on this machine: its tests will be skipped")


if __name__ == "__main__":
    main()
