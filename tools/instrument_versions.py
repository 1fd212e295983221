"""The contract tests of the instrumented libraries, with the oldest and newest versions of each.

Makes an environment for each library and version with uv, below ``.venv/instrument``, and keeps it
while what is installed in it stays the same; "newest" is looked up in every run. Writes the result
of each run into ``docs/instrumentation-versions.md``. The program ends with 1 when a test failed,
or when a library's tests were all skipped.

    python tools/instrument_versions.py [--oldest | --newest] [--no-table] [LIBRARY[==VERSION]]...
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from floors import uv

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "instrument"
TABLE = REPO / "docs" / "instrumentation-versions.md"
TOOLS = ("pytest", "pytest-asyncio", "pytest-randomly", "pytest-timeout", "hypothesis", "attrs")
NEWEST = "newest"
CONTRACT = "tests/contract/test_instrument_"


class Library(NamedTuple):
    """A library: its distribution, the oldest version that is supported, and its tests.

    ``tests``: files without the prefix ``CONTRACT`` and with an expression of pytest's ``-k`` after
    a space. ``companions``: requirements that its tests need beside it. ``between``: further
    versions.
    """

    name: str
    oldest: str
    tests: tuple[str, ...]
    companions: tuple[str, ...] = ()
    between: tuple[str, ...] = ()


LIBRARIES = (
    Library(
        "openai",
        "1.109.1",
        (
            "openai.py",
            "media.py",
            "fetched.py openai or background or cloud",
            "sockets.py realtime",
        ),
        ("websockets",),
        between=("2.54.0",),
    ),
    Library("anthropic", "0.125.0", ("anthropic.py", "fetched.py anthropic"), between=("1.17.0",)),
    Library("groq", "1.0.0", ("compatible.py groq",)),
    Library("together", "2.31.0", ("compatible.py together",)),
    Library("cerebras-cloud-sdk", "1.50.1", ("compatible.py cerebras",)),
    Library("fireworks-ai", "1.2.30", ("compatible.py fireworks",)),
    Library("google-genai", "3.0.0", ("clients.py google", "surfaces.py gemini"), ("openai",)),
    Library("mistralai", "3.0.0", ("mistral.py", "clients.py mistral")),
    Library("cohere", "7.0.9", ("clients.py cohere", "surfaces.py cohere", "cohere_v1.py")),
    Library("ollama", "0.5.4", ("clients.py ollama",)),
    Library("boto3", "1.40.76", ("clients.py bedrock", "surfaces.py bedrock")),
    Library("huggingface-hub", "1.25.1", ("huggingface.py",), ("numpy",)),
    Library("xai-sdk", "1.14.0", ("xai.py",)),
    Library("websockets", "13.1", ("sockets.py",), ("openai", "google-genai")),
    Library("litellm", "1.96.2", ("litellm.py", "clients.py litellm")),
    Library("litellm[proxy]", NEWEST, ("litellm.py",)),
    Library(
        "langchain-core",
        "1.5.0",
        ("langchain.py", "langchain_calls.py", "langchain_runs.py"),
        ("langchain-openai", "langgraph", "openai"),
    ),
    Library("llama-index-core", "0.14.0", ("llama_index.py",), ("openai",)),
    Library("pydantic-ai-slim[openai]", "2.50.0", ("pydantic_ai.py",), ("opentelemetry-sdk",)),
    Library("openai-agents", "0.20.0", ("agents.py",)),
    Library("mcp", "2.0.0", ("mcp.py",)),
    Library("haystack-ai", "3.0.0", ("haystack.py",)),
    Library("dspy", "3.3.0", ("dspy.py",)),
    Library("smolagents[openai]", "1.24.0", ("smolagents.py",)),
    Library("celery", "5.4.0", ("celery.py",)),
)


def requirement(library: Library, version: str) -> str:
    """What pip installs."""
    return library.name if version == NEWEST else f"{library.name}=={version}"


def make(library: Library, version: str) -> Path:
    """Make or update the environment; returns its interpreter."""
    place = PLACE / f"{library.name.replace('[', '-').rstrip(']')}-{version}"
    python, stamp = place / "bin" / "python", place / "requirements.txt"
    requirements = [requirement(library, version), *library.companions, *TOOLS]
    project = (REPO / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[0]
    text = "\n".join([*requirements, project])
    if not python.exists():
        subprocess.run([uv(), "venv", "-q", "--python", sys.executable, str(place)], check=True)
    if version == NEWEST or not stamp.exists() or stamp.read_text() != text:
        update = ["--upgrade"] if version == NEWEST else []
        subprocess.run(
            [uv(), "pip", "install", "-q", *update, "--python", str(python), *requirements, "-r",
             "pyproject.toml"],
            cwd=REPO, check=True,
        )  # fmt: skip
        stamp.write_text(text)
    return python


class Result(NamedTuple):
    """What a run of one library's tests gave."""

    library: str
    version: str
    is_newest: bool
    passed: int
    failed: int
    skipped: int

    @property
    def is_good(self) -> bool:
        """Whether nothing failed and something ran."""
        return not self.failed and self.passed > 0

    def row(self) -> str:
        """Its line in the table."""
        outcome = f"{self.passed} passed" if self.is_good else f"{self.failed} failed"
        if not self.failed and not self.passed:
            outcome = "not run"
        age = "newest" if self.is_newest else ""
        python = ".".join(map(str, sys.version_info[:2]))
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        return f"| {self.library} | {self.version} | {age} | {python} | {outcome} | {today} |"


def run(library: Library, version: str) -> Result:
    """Run the library's tests in its environment."""
    python = make(library, version)
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment.update(PYTHONPATH=str(REPO), LITELLM_LOCAL_MODEL_COST_MAP="True")
    counts = [0, 0, 0]
    for test in library.tests:
        file, _, expression = test.partition(" ")
        report = python.parent.parent / "report.xml"
        report.unlink(missing_ok=True)
        select = ["-k", expression] if expression else []
        subprocess.run(
            [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header",
             "--tb=short", "-m", "contract and not slow", f"--junitxml={report}",
             f"{CONTRACT}{file}", *select],
            cwd=REPO, env=environment, check=False,
        )  # fmt: skip
        counts = [before + now for before, now in zip(counts, read(report), strict=True)]
    program = (
        f"import importlib.metadata as m; print(m.version({library.name.partition('[')[0]!r}))"
    )
    installed = subprocess.run(
        [str(python), "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    return Result(library.name, installed, version == NEWEST, *counts)


def read(report: Path) -> list[int]:
    """Passed, failed and skipped tests of a report; a missing one is a failure."""
    if not report.exists():
        return [0, 1, 0]
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))

    def total(name: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites)

    failed, skipped = total("failures") + total("errors"), total("skipped")
    return [total("tests") - failed - skipped, failed, skipped]


HEAD = """\
# Versions of instrumented libraries

`tests/instrument_versions.sh` (`make instrument-versions`) runs the contract tests of each library
with the oldest and the newest version that is supported, each in an environment of its own, and
writes this table.

| library | version | | Python | result | date |
|---|---|---|---|---|---|
"""


def write(results: list[Result]) -> None:
    """Replace the rows of what has run; the others stay, but those of versions left since."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    current = tuple(
        f"| {library.name} | {version} |"
        for library in LIBRARIES
        for version in (library.oldest, *library.between)
    )
    rows = [line for line in lines if "| newest |" in line or line.startswith(current)]
    for result in results:
        start, newest = f"| {result.library} | {result.version} |", f"| {result.library} |"
        rows = [row for row in rows if not row.startswith(start)]
        if result.is_newest:
            rows = [row for row in rows if not (row.startswith(newest) and "| newest |" in row)]
        rows.append(result.row())
    TABLE.write_text(HEAD + "\n".join(sorted(rows, key=order)) + "\n")


def order(row: str) -> tuple[str, list[int]]:
    """By library and version."""
    _, library, version, *_ = (cell.strip() for cell in row.split("|"))
    return library, [int(part) for part in version.split(".") if part.isdigit()]


def choices(arguments: argparse.Namespace) -> Iterator[tuple[Library, str]]:
    """The libraries and versions to run."""
    selected = dict(name.partition("==")[::2] for name in arguments.libraries)
    unknown = selected.keys() - {library.name for library in LIBRARIES}
    if unknown:
        sys.exit(f"no such library: {', '.join(sorted(unknown))}")
    for library in LIBRARIES:
        if selected and library.name not in selected:
            continue
        versions = [library.oldest, *library.between, NEWEST]
        if selected.get(library.name):
            versions = [selected[library.name]]
        elif arguments.oldest or arguments.newest:
            versions = [library.oldest if arguments.oldest else NEWEST]
        for version in dict.fromkeys(versions):
            yield library, version


def main() -> int:
    """Run what the arguments choose."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY[==VERSION]")
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--oldest", action="store_true")
    ends.add_argument("--newest", action="store_true")
    parser.add_argument("--no-table", action="store_true")
    arguments = parser.parse_args()
    results = []
    for library, version in choices(arguments):
        print(f"== {requirement(library, version)}", flush=True)
        result = run(library, version)
        results.append(result)
        print(result.row(), flush=True)
        if not arguments.no_table:
            write(results)
    failed = [f"{result.library} {result.version}" for result in results if not result.is_good]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
