"""Whether a wheel of ``dist`` takes as many instructions as what this machine compiles itself.

For each Python that ``make wheels`` made a wheel for and that can run here: the wheel and a build
of this source, by the Python's own compiler flags, run the work of ``guard_work`` under callgrind,
in turns and with the same dependencies. Prints the instructions an operation takes in each. The
program ends with 1 where a case takes over 3 % more in the wheel.

    python benchmarks/wheel_speed.py [--pythons 3.10,3.13] [--rounds 2]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from guard import HERE, LIMIT, ROOT, Figures, count

sys.path.insert(0, str(ROOT / "tools"))
from floors import uv
from pythons import VERSIONS, find

DIST = ROOT / "dist"


def unpacked(wheel: Path, place: Path) -> Path:
    """The folder that the wheel's package is imported from."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place)
    return place


def local_build(python: str, place: Path) -> Path:
    """A wheel of this source as pip would build it here."""
    command = [uv(), "build", "--quiet", "--wheel", "--python", python, "--out-dir", place, ROOT]
    subprocess.run(command, env={**os.environ, "SESSIONTRACE_PURE": "0"}, check=True)
    return next(place.glob("*.whl"))


def environment(python: str, wheel: Path, place: Path) -> str:
    """An interpreter with the wheel's dependencies."""
    own = str(place / "bin" / "python")
    subprocess.run([uv(), "venv", "--quiet", "--python", python, place], check=True)
    subprocess.run([uv(), "pip", "install", "--quiet", "--python", own, wheel], check=True)
    return own


def lowest(figures: Figures, more: Figures) -> Figures:
    """The lower of two counts of each case."""
    return {name: min(figure, figures.get(name, figure)) for name, figure in more.items()}


def compare(python: str, wheel: Path, rounds: int) -> list[tuple[str, float, float]]:
    """Each case with the instructions of the wheel and of the local build."""
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        own = environment(python, wheel, room / "environment")
        packages = {
            "wheel": unpacked(wheel, room / "wheel"),
            "local": unpacked(local_build(python, room / "build"), room / "local"),
        }
        figures: dict[str, Figures] = {"wheel": {}, "local": {}}
        for turn in range(rounds):
            for form in sorted(packages, reverse=bool(turn % 2)):
                counted, compiled = count(HERE / "guard_work.py", packages[form], own)
                if not compiled:
                    sys.exit(f"the {form} of {wheel.name} has no compiled forms")
                figures[form] = lowest(figures[form], counted)
    return [(case, figures["wheel"][case], figures["local"][case]) for case in figures["wheel"]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare each wheel; 1 where one takes more than the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pythons", default=",".join(VERSIONS), help="versions, with commas")
    parser.add_argument("--rounds", type=int, default=2, help="counts of each, the lower counts")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: apt-get install valgrind")
    slower, compared = 0, 0
    for version in options.pythons.split(","):
        tag = f"cp{version.replace('.', '')}"
        wheels = list(DIST.glob(f"*-{tag}-{tag}-manylinux*_{platform.machine()}.whl"))
        python = find(version)
        if python is None or not wheels:
            continue
        compared += 1
        print(f"{wheels[0].name:<66}{'wheel':>10}{'local':>10}{'more':>8}", flush=True)
        for case, wheel, local in compare(python, wheels[0], options.rounds):
            slower += wheel > local * (1 + LIMIT)
            print(
                f"  {case:<64}{wheel:>10,.0f}{local:>10,.0f}{wheel / local - 1:>+8.2%}", flush=True
            )
    if not compared:
        sys.exit("dist has no wheel for a Python of this machine: run `make wheels`")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
