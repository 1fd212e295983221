"""Whether capture and export take more instructions than before. Time would need a quiet machine.

Runs the work in ``guard_work`` under valgrind's callgrind and compares each case with a baseline:
``instructions.json``, or with ``--against COMMIT`` that commit's own count, made here from
a wheel of it. Fails where a case takes over 3 % more.

  span ...      what a span costs the user's thread, inside an open session
  session       opening and closing one
  sampled-out   a span in a session that is not recorded
  <vendor> ...  what the sender does to an event until its bytes are ready, in sessions of ten

``--record`` writes the baseline: for a change that costs more and is worth it. A baseline is for
one Python, one kind of processor and one set of libraries. Elsewhere the figures are printed and
compared with nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import machine_info

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BASELINE = HERE / "instructions.json"
LIMIT = 0.03

Figures = dict[str, float]


def machine(compiled: bool) -> dict[str, Any]:
    """What a count depends on."""
    versions = {name: importlib.metadata.version(name) for name in ("attrs", "orjson")}
    return {
        "python": platform.python_version(),
        "processor": machine_info.describe()["processor"],  # the C library has code for each
        "libc": "-".join(platform.libc_ver()),
        "compiled": compiled,
        **versions,
    }


def count(work: Path, package: Path, python: str = sys.executable) -> tuple[Figures, bool]:
    """Instructions of each case by operation, and whether the package's compiled forms are used.

    ``python`` has the dependencies of ``package``, the folder that the package is imported from.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "count"
        command = [
            *("valgrind", "--tool=callgrind", "--dump-before=getloadavg"),
            *(f"--callgrind-out-file={output}", python, str(work)),
        ]
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(package), "PYTHONHASHSEED": "0"},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{work} failed under callgrind:\n{done.stderr[-3000:]}")
        answer = json.loads(done.stdout.splitlines()[-1])
        figures = {
            name: total(Path(f"{output}.{2 * number + 2}")) / operations
            for number, (name, operations) in enumerate(answer["cases"])
        }
        return figures, bool(answer["compiled"])


def total(part: Path) -> int:
    """The instructions between two of callgrind's dumps."""
    match = re.search(r"^totals: (\d+)$", part.read_text(), re.MULTILINE)
    if match is None:
        sys.exit(f"callgrind wrote no total into {part.name}")
    return int(match[1])


def count_of(commit: str) -> tuple[Figures, bool]:
    """The count of another commit, by its own ``guard_work`` and with its package built here."""
    with tempfile.TemporaryDirectory() as folder:
        tree, package = Path(folder) / "tree", Path(folder) / "package"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            work = tree / "benchmarks" / "guard_work.py"
            if not work.exists():
                sys.exit(f"{commit} has no {work.relative_to(tree)} to be counted by")
            build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
            subprocess.run(build, cwd=tree, check=True, stdout=subprocess.DEVNULL)
            (wheel,) = (tree / "dist").glob("*.whl")
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(package)
            return count(work, package)
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def compared(figures: Figures, before: Figures) -> list[str]:
    """The table's lines."""
    lines = [f"{'instructions an operation':<42}{'before':>10}{'now':>10}{'more':>9}"]
    for name, figure in figures.items():
        old = before.get(name)
        change = "new" if old is None else f"{figure / old - 1:+.1%}"
        mark = "  TOO MUCH" if old is not None and figure > old * (1 + LIMIT) else ""
        earlier = "-" if old is None else f"{old:,.0f}"
        lines.append(f"{name:<42}{earlier:>10}{figure:>10,.0f}{change:>9}{mark}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="COMMIT", help="compare with this commit")
    parser.add_argument("--record", action="store_true", help="write the baseline")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: apt-get install valgrind")
    figures, compiled = count(HERE / "guard_work.py", ROOT)
    now = machine(compiled)
    if options.record:
        recorded = {"machine": now, "instructions": {name: round(n) for name, n in figures.items()}}
        BASELINE.write_text(json.dumps(recorded, indent=2) + "\n")
    if options.against:
        before, was_compiled = count_of(options.against)
        if was_compiled != compiled:
            sys.exit("one of the two has no compiled forms: compile both, or neither")
    else:
        baseline = json.loads(BASELINE.read_text())
        before = baseline["instructions"]
        if baseline["machine"] != now:
            print(f"The baseline is for {baseline['machine']}; this is {now}.")
            print("Nothing is compared.")
            before = {}
    lines = compared(figures, before)
    print("\n".join(lines))
    if any(line.endswith("TOO MUCH") for line in lines):
        sys.exit(f"over {LIMIT:.0%} more than before; if it is worth it, --record and say why")


if __name__ == "__main__":
    main()
