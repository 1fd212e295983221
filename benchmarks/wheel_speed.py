"""Whether a wheel of ``dist`` is as fast as what this machine compiles itself.

For each Python that ``make wheels`` made a wheel for and that can run here, the machine code of the
wheel's modules is compared with that of a build of this source by the Python's own compiler flags.
Where it differs, or with ``--count``, both run the work of ``guard_work`` under callgrind, in turns
and with the same dependencies. The program ends with 1 where a case takes over 3 % more
instructions in the wheel.

    python benchmarks/wheel_speed.py [--pythons 3.10,3.13] [--count] [--rounds 2]
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


def machine_code(module: Path) -> bytes:
    """The instructions of a compiled module, without names and addresses of debuggers."""
    with tempfile.NamedTemporaryFile() as code:
        command = ["objcopy", "--output-target", "binary", "--only-section", ".text"]
        subprocess.run([*command, module, code.name], check=True)
        return Path(code.name).read_bytes()


def differing(packages: dict[str, Path]) -> tuple[list[str], int]:
    """The modules whose machine code differs between the two, and the number of modules."""
    modules = sorted(packages["wheel"].glob("sessiontrace/**/*.so"))
    names = [module.relative_to(packages["wheel"]) for module in modules]
    codes = {
        name: {machine_code(package / name) for package in packages.values()} for name in names
    }
    return [name.name for name, code in codes.items() if len(code) > 1], len(names)


def counts(own: str, packages: dict[str, Path], rounds: int) -> dict[str, Figures]:
    """The instructions of each case, by package."""
    figures: dict[str, Figures] = {form: {} for form in packages}
    for turn in range(rounds):
        for form in sorted(packages, reverse=bool(turn % 2)):
            counted, compiled = count(HERE / "guard_work.py", packages[form], own)
            if not compiled:
                sys.exit(f"the {form} for {own} has no compiled forms")
            figures[form] = lowest(figures[form], counted)
    return figures


def compare(python: str, wheel: Path, rounds: int, always: bool) -> bool:
    """Print how a wheel compares with a local build; whether it is as fast."""
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        packages = {
            "wheel": unpacked(wheel, room / "wheel"),
            "local": unpacked(local_build(python, room / "build"), room / "local"),
        }
        modules, number = differing(packages)
        if not number:
            sys.exit(f"{wheel.name} has no compiled modules")
        print(f"{wheel.name}: {number} modules, {len(modules)} differ in machine code", flush=True)
        if not modules and not always:
            return True
        figures = counts(environment(python, wheel, room / "environment"), packages, rounds)
    print(f"  {', '.join(modules)}\n  {'instructions':<44}{'wheel':>10}{'local':>10}{'more':>8}")
    shares = {case: figures["wheel"][case] / local for case, local in figures["local"].items()}
    for case, local in figures["local"].items():
        difference = f"{shares[case] - 1:>+8.2%}"
        print(
            f"  {case:<44}{figures['wheel'][case]:>10,.0f}{local:>10,.0f}{difference}", flush=True
        )
    return max(shares.values()) <= 1 + LIMIT


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare each wheel; 1 where one takes more instructions than the limit allows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pythons", default=",".join(VERSIONS), help="versions, with commas")
    parser.add_argument("--count", action="store_true", help="count where no code differs, too")
    parser.add_argument("--rounds", type=int, default=2, help="counts of each, the lower counts")
    options = parser.parse_args(arguments)
    for program in ("valgrind", "objcopy"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: apt-get install valgrind binutils")
    as_fast = []
    for version in options.pythons.split(","):
        tag = f"cp{version.replace('.', '')}"
        wheels = list(DIST.glob(f"*-{tag}-{tag}-manylinux*_{platform.machine()}.whl"))
        python = find(version)
        if python is not None and wheels:
            as_fast.append(compare(python, wheels[0], options.rounds, options.count))
    if not as_fast:
        sys.exit("dist has no wheel for a Python of this machine: run `make wheels`")
    return 0 if all(as_fast) else 1


if __name__ == "__main__":
    sys.exit(main())
