"""The contract tests of the instrumented libraries, with the oldest and newest versions of each.

The environments are made by ``library_environments``; "newest" is looked up in every run, and
``--locked`` takes the frameworks whose environments are pinned, as they are. Writes the result of
each run into ``docs/instrumentation-versions.md``. The program ends with 1 when a test failed, or
when a library's tests were all skipped.

    python tools/instrument_versions.py [--oldest | --newest | --locked] [--no-table]
        [LIBRARY[==VERSION]]...
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

from instrumented_libraries import LIBRARIES, LOCKED, NEWEST, Library
from library_environments import REPO, make_all, python_of, requirement

TABLE = REPO / "docs" / "instrumentation-versions.md"
CONTRACT = "tests/contract/test_instrument_"
LATEST = ("| newest |", "| locked |")


class Result(NamedTuple):
    """What a run of one library's tests gave."""

    library: str
    version: str
    age: str
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
        python = ".".join(map(str, sys.version_info[:2]))
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        return f"| {self.library} | {self.version} | {self.age} | {python} | {outcome} | {today} |"


def run(library: Library, version: str) -> Result:
    """Run the library's tests in its environment."""
    python = python_of(library, version)
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment.update(PYTHONPATH=str(REPO), LITELLM_LOCAL_MODEL_COST_MAP="True")
    environment["FRAMEWORK_EXAMPLES"] = "1"
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
    age = "" if version not in (NEWEST, LOCKED) else LOCKED if library.group else NEWEST
    return Result(library.name, installed, age, *counts)


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
writes this table. `make frameworks` runs those whose environments are pinned, one for each group of
frameworks, in `tests/frameworks/`; their newest version is the one that is "locked".

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
    rows = [line for line in lines if is_latest(line) or line.startswith(current)]
    for result in results:
        start, library = f"| {result.library} | {result.version} |", f"| {result.library} |"
        rows = [row for row in rows if not row.startswith(start)]
        if result.age:
            rows = [row for row in rows if not (row.startswith(library) and is_latest(row))]
        rows.append(result.row())
    TABLE.write_text(HEAD + "\n".join(sorted(rows, key=order)) + "\n")


def is_latest(row: str) -> bool:
    """Whether a row is of the newest version that a run was with."""
    return any(mark in row for mark in LATEST)


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
        if arguments.locked:
            if library.group:
                yield library, LOCKED
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
    ends.add_argument("--locked", action="store_true", help="the pinned frameworks, as pinned")
    parser.add_argument("--no-table", action="store_true")
    arguments = parser.parse_args()
    results = []
    runs = list(choices(arguments))
    make_all(runs)
    for library, version in runs:
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
