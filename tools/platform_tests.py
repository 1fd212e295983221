"""The unit and property tests on this machine's system, in an environment of their own.

Without options, the package is installed from the source into ``.venv/platform``, with compiled
forms if it has them for this Python. With ``--installed``, as cibuildwheel calls it, the running
interpreter's package is tested; ``--compiled`` fails where its forms are not compiled. The tests
run beside what is installed, not on the source.

    python tools/platform_tests.py [--installed] [--compiled]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "platform"
TESTS = ("tests/unit", "tests/property")
LEFT_OUT = (  # of tools and of the source tree
    "tests/unit/test_api_signatures.py", "tests/unit/test_benchmarks.py",
    "tests/unit/test_house.py", "tests/unit/test_typing.py",
)  # fmt: skip
_ABOUT = "import sessiontrace as st; print(st.__compiled__, st.__file__)"


def environment() -> str:
    """The interpreter of a new environment with the package from the source."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PLACE)], check=True)
    own = str(PLACE / ("Scripts" if os.name == "nt" else "bin") / "python")
    subprocess.run([own, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
    subprocess.run([own, "-m", "pip", "install", "--quiet", f"{REPO}[cli]"], check=True)
    return own


def tree(room: Path, package: Path) -> Path:
    """The tests' tree in ``room``, with the installed package in the place of the source."""
    place = room / "tree"
    ignored = shutil.ignore_patterns(
        ".git",
        ".venv",
        "build",
        "dist",
        "node_modules",
        "sessiontrace",
        "wheelhouse",
        "__pycache__",
    )
    shutil.copytree(REPO, place, ignore=ignored)
    if os.name == "nt":  # links need a right there
        shutil.copytree(package, place / "sessiontrace")
    else:
        place.joinpath("sessiontrace").symlink_to(package)
    return place


def install_test_tools(own: str) -> None:
    """What the tests need, with uv where it is beside the running program, else with pip."""
    group = ["rich>=13.0", "--group", f"{REPO}/pyproject.toml:dev"]  # rich: of `cli`
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        subprocess.run([uv, "pip", "install", "--quiet", "--python", own, *group], check=True)
        return
    pip = [own, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    subprocess.run([*pip, *group], check=True)


def run_tests(own: str, compiled: bool | None = None) -> tuple[int, str]:
    """The status and the output of the tests with this interpreter, -1 for other forms."""
    with tempfile.TemporaryDirectory() as name:
        answer = subprocess.check_output([own, "-c", _ABOUT], cwd=name, text=True)
        forms, _, file = answer.strip().partition(" ")
        if compiled is not None and forms != str(compiled):
            return -1, f"compiled is {forms}: {file}"
        place = tree(Path(name), Path(file).parent)
        install_test_tools(own)
        left_out = [f"--ignore={path}" for path in LEFT_OUT]
        done = subprocess.run(
            [own, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *TESTS, *left_out],
            cwd=place, stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    return done.returncode, done.stdout


def main() -> int:
    """The status of the tests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--installed", action="store_true", help="test this interpreter's package")
    parser.add_argument("--compiled", action="store_true", help="fail without compiled forms")
    options = parser.parse_args()
    own = sys.executable if options.installed else environment()
    status, printed = run_tests(own, True if options.compiled else None)
    print(printed)
    return status


if __name__ == "__main__":
    sys.exit(main())
