"""Checks what an installation brings: its size, its known faults, and what it fits beside.

Fails where the runtime dependencies are more than 14 packages or 15 MB, where the lowest version
that ``pyproject.toml`` allows has a fault that ``tools/advisories.toml`` knows, and where a package
that LLM applications use cannot be installed beside sessiontrace, or only in another version than
alone. Nothing of those is installed. With ``--online``, pip-audit asks for newer advisories.

    python tools/dependencies.py [--online] [PACKAGE]...
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import tomllib
from floors import uv
from packaging.version import Version

REPO = Path(__file__).resolve().parent.parent
ADVISORIES = Path(__file__).with_name("advisories.toml")
COMPANIONS = (
    "langchain", "langgraph", "openai", "anthropic", "litellm", "litellm[proxy]", "crewai",
    "llama-index-core", "vllm", "apache-airflow", "mlflow", "fastapi",
)  # fmt: skip
PYTHONS = ("3.10", "3.12", "3.14")
PYTHON = "3.12"
PACKAGES_MAX = 14
SIZE_MAX = 15_000_000


def resolve(*sources: str, python: str = PYTHON, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Names and versions of what uv would install, from wheels only; empty where nothing fits."""
    command = [uv(), "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--only-binary",
               ":all:", "--python-version", python, *options]  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(source for source in sources if source != "pyproject.toml"))
        file.flush()
        project = [source for source in sources if source == "pyproject.toml"]
        done = subprocess.run(
            [*command, *project, file.name], cwd=REPO, capture_output=True, text=True, check=False
        )
    if done.returncode:
        print(done.stderr.strip()[-600:], file=sys.stderr)
        return {}
    lines = [line.partition("==") for line in done.stdout.splitlines() if "==" in line]
    return {name.partition("[")[0]: version.split(" ")[0] for name, _, version in lines}


def size() -> list[str]:
    """Faults in the number and the size of the runtime dependencies."""
    packages = resolve("pyproject.toml")
    with tempfile.TemporaryDirectory() as place:
        pins = [f"{name}=={version}" for name, version in packages.items()]
        command = [uv(), "pip", "install", "--quiet", "--python-version", PYTHON, "--only-binary",
                   ":all:", "--target", place, *pins]  # fmt: skip
        subprocess.run(command, check=True)
        files = [
            path for path in Path(place).rglob("*") if path.is_file() and path.suffix != ".pyc"
        ]
        total = sum(path.stat().st_size for path in files)
    print(f"runtime dependencies on {PYTHON}: {len(packages)} packages, {total / 1e6:.1f} MB")
    if len(packages) > PACKAGES_MAX or total > SIZE_MAX:
        return [f"more than {PACKAGES_MAX} packages or {SIZE_MAX / 1e6:.0f} MB"]
    return []


def audit() -> list[str]:
    """The known faults that the lowest allowed versions have, on each Python."""
    advisories = tomllib.loads(ADVISORIES.read_text())["advisory"]
    extras = ("--all-extras", "--resolution", "lowest-direct")
    faults = []
    for python in PYTHONS:
        lowest = resolve("pyproject.toml", python=python, options=extras)
        if not lowest:
            faults.append(f"the lowest versions do not fit together on {python}")
        faults += [
            f"{one['package']} {lowest[one['package']]} on {python}: {one['id']}, {one['fault']}"
            for one in advisories
            if one["package"] in lowest and Version(lowest[one["package"]]) < Version(one["fixed"])
        ]
    print(
        f"advisories: {len(advisories)} compared with the lowest versions on {', '.join(PYTHONS)}"
    )
    return faults


def newer_advisories() -> list[str]:
    """What pip-audit finds for the newest versions; it asks the package index."""
    pins = "\n".join(f"{name}=={version}" for name, version in resolve("pyproject.toml").items())
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pins)
        file.flush()
        command = [uv(), "tool", "run", "pip-audit", "--strict", "--no-deps", "--disable-pip",
                   "--requirement", file.name]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [done.stdout + done.stderr] if done.returncode else []


def companions(names: list[str]) -> list[str]:
    """Packages that do not fit beside us, or only in another version than alone."""
    faults = []
    for name in names:
        plain = name.partition("[")[0]
        alone, beside = resolve(name), resolve(name, "pyproject.toml")
        print(f"{name:18} {alone.get(plain)} alone, {beside.get(plain)} beside sessiontrace")
        if alone.get(plain) != beside.get(plain) or plain not in beside:
            faults.append(f"{name} does not fit beside sessiontrace as it does alone")
    return faults


def main() -> int:
    """1 where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=COMPANIONS, help="packages to fit beside")
    parser.add_argument("--online", action="store_true", help="ask pip-audit, too")
    options = parser.parse_args()
    faults = [*size(), *audit(), *companions(list(options.names))]
    faults += newer_advisories() if options.online else []
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
