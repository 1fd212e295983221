"""The environments of instrumented libraries, made by uv in ``.venv/instrument``.

    a version            its environment
    -------------------  -------------------------------------------------------------------------
    a number             of this library and its companions, kept while what it needs is the same
    ``NEWEST``           the same, updated in every run; for a group: its pins are looked up anew
    ``LOCKED``           of the library's group, exactly as ``tests/frameworks/<group>.txt`` pins it

Environments are built in parallel. Invariant: no two threads build one environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from floors import uv
from instrumented_libraries import LIBRARIES, LOCKED, NEWEST, Library

__all__ = ["REPO", "make_all", "python_of", "requirement"]

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "instrument"
LOCKS = REPO / "tests" / "frameworks"
TOOLS = ("pytest", "pytest-asyncio", "pytest-randomly", "pytest-timeout", "hypothesis", "attrs")
OLDEST_LOCKED_PYTHON = "3.11"


def requirement(library: Library, version: str) -> str:
    """What pip installs."""
    pin = "" if version in (NEWEST, LOCKED) else f"=={version}"
    return f"{library.name}{pin}"


def python_of(library: Library, version: str) -> Path:
    """The interpreter of the environment."""
    if library.group and version in (NEWEST, LOCKED):
        name = library.group
    else:
        name = f"{library.name.replace('[', '-').rstrip(']')}-{version}"
    return PLACE / name / "bin" / "python"


def make_all(choices: Iterable[tuple[Library, str]]) -> None:
    """Make or update the environments, several at once; SystemExit names those that cannot be."""
    by_place = {python_of(library, version): (library, version) for library, version in choices}
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        failures = [
            failure
            for failure in executor.map(lambda choice: _make(*choice), by_place.values())
            if failure
        ]
    if failures:
        sys.exit("\n".join(failures))


def _make(library: Library, version: str) -> str:
    """Make or update one environment; what went wrong, or nothing."""
    python = python_of(library, version)
    try:
        if not python.exists():
            _uv("venv", "-q", "--python", sys.executable, str(python.parent.parent))
        if library.group and version in (NEWEST, LOCKED):
            lock = LOCKS / f"{library.group}.txt"
            if version == NEWEST or not lock.exists():
                _lock(library.group, lock)
            _uv("pip", "sync", "-q", "--python", str(python), str(lock))
        else:
            _install(python, library, version)
    except subprocess.CalledProcessError as error:
        return f"{requirement(library, version)}: {error.stderr.strip()}"
    return ""


def _install(python: Path, library: Library, version: str) -> None:
    stamp = python.parent.parent / "requirements.txt"
    requirements = [requirement(library, version), *library.companions, *TOOLS]
    text = "\n".join([*requirements, _own_requirements()])
    if version == NEWEST or not stamp.exists() or stamp.read_text() != text:
        update = ["--upgrade"] if version == NEWEST else []
        _uv(
            *("pip", "install", "-q", *update, "--python", str(python)),
            *(*requirements, "-r", "pyproject.toml"),
        )
        stamp.write_text(text)


def _lock(group: str, lock: Path) -> None:
    """Pin the newest versions of what the libraries of a group need, for every system."""
    members = [library for library in LIBRARIES if library.group == group]
    names = {name for library in members for name in (library.name, *library.companions)}
    lock.parent.mkdir(exist_ok=True)
    _uv(
        *("pip", "compile", "-q", "--upgrade", "--universal", "--no-header", "--no-annotate"),
        *("--python-version", OLDEST_LOCKED_PYTHON, "-o", str(lock), "-", "pyproject.toml"),
        requirements="\n".join(sorted({*names, *TOOLS})),
    )


def _uv(*arguments: str, requirements: str | None = None) -> None:
    subprocess.run(
        [uv(), *arguments],
        cwd=REPO, check=True, capture_output=True, text=True, input=requirements,
    )  # fmt: skip


def _own_requirements() -> str:
    text = (REPO / "pyproject.toml").read_text()
    return text.partition("[project.optional-dependencies]")[0]
