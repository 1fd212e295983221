"""Runs every way to install that the documentation names, from wheels that loopback serves.

A wheel of this source and its dependencies become an index. Each installer then works in a folder
of its own with an empty home, and the installed ``sessiontrace --version`` runs. Prints the seconds
of a processor that the installer took, and what it installed. poetry and pdm ask PyPI for more than
its ``simple`` pages, which not every mirror has; here they ask the index.

    python tools/install_commands.py [INSTALLER]...
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from floors import uv

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "installers"
PACKAGE = "sessiontrace[cli]"
PROJECT = """
[project]
name = "application"
version = "1.0"
requires-python = ">={python},<{next}"
dependencies = []
[[tool.poetry.source]]
name = "house"
url = "{index}"
[[tool.pdm.source]]
name = "pypi"
url = "{index}"
[tool.poetry]
package-mode = false
[tool.pdm]
distribution = false
"""


@attrs.frozen
class Installer:
    """A program that installs: its package on PyPI, its words, and where its commands are then.

    In the words, ``INDEX`` is the index's address.
    """

    package: str
    words: tuple[str, ...]
    programs: str = ".venv/bin"


INSTALLERS = {
    "pip": Installer("pip", ("pip", "install", "--quiet", "--index-url", "INDEX", PACKAGE)),
    "uv add": Installer("uv", ("uv", "add", "--quiet", "--default-index", "INDEX", PACKAGE)),
    "poetry add": Installer("poetry", ("poetry", "add", "--quiet", PACKAGE)),
    "pdm add": Installer("pdm", ("pdm", "add", "--quiet", PACKAGE)),
    "pipx install": Installer("pipx", ("pipx", "install", "--quiet", PACKAGE), "bin"),
    "uv tool install": Installer(
        "uv", ("uv", "tool", "install", "--quiet", "--default-index", "INDEX", PACKAGE), "bin"
    ),
    "uvx": Installer(
        "uv",
        (
            "uvx",
            "--quiet",
            "--default-index",
            "INDEX",
            "--from",
            PACKAGE,
            "sessiontrace",
            "--version",
        ),
        "",
    ),
}


BESIDE = {"pdm": ["hishel<2"]}  # pdm 2.29 admits hishel 2 and does not work with it


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Nothing: each installer asks for dozens of pages."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *words: object) -> None:
        """Nothing: installers close a connection when they have read enough of a wheel."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which loopback serves a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def index(room: Path) -> Path:
    """A folder of each package's wheels: a wheel of this source and what it depends on."""
    house = room / "house"
    command = [uv(), "build", "--quiet", "--wheel", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", house, REPO], check=True)
    (wheel,) = house.glob("*.whl")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
    package = f"{PACKAGE} @ {wheel.as_uri()}"
    subprocess.run([*command, "--dest", house, package, "pip"], check=True)  # pipx installs pip
    for file in house.glob("*.whl"):
        name = re.sub(r"[-_.]+", "-", file.name.partition("-")[0]).lower()
        folder = room / "index" / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    return room / "index"


def tool(package: str) -> Path:
    """The folder of an installer's programs."""
    place = PLACE / package
    if not place.exists():
        subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, place], check=True)
        command = [uv(), "pip", "install", "--quiet", "--python", place / "bin" / "python"]
        subprocess.run([*command, package, *BESIDE.get(package, ())], check=True)
    return place / "bin"


def environment(room: Path, address: str, programs: Path) -> dict[str, str]:
    """A user's, in an empty home; nothing of pip's or uv's own settings here."""
    names = ("LANG", "TMPDIR")
    return {
        **{name: os.environ[name] for name in names if name in os.environ},
        "HOME": str(room),
        "PATH": f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "PIP_INDEX_URL": address,
        "PIP_CONFIG_FILE": os.devnull,
        "PIPX_HOME": str(room / "pipx"),
        "PIPX_BIN_DIR": str(room / "bin"),
        "UV_TOOL_BIN_DIR": str(room / "bin"),
        "UV_CACHE_DIR": str(room / "cache"),
        "UV_PYTHON": sys.executable,
        "UV_NO_CONFIG": "1",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "PDM_CHECK_UPDATE": "0",
    }


def size(room: Path) -> int:
    """Bytes below a folder, but for what an installer caches."""
    return sum(
        path.stat().st_size
        for path in room.rglob("*")
        if path.is_file() and not path.is_symlink() and "cache" not in path.parts
    )


def try_out(installer: Installer, room: Path, address: str) -> str:
    """Install into ``room`` and say what that took."""
    programs = tool(installer.package)
    this, following = sys.version_info[1], sys.version_info[1] + 1
    text = PROJECT.format(python=f"3.{this}", next=f"3.{following}", index=address)
    room.joinpath("pyproject.toml").write_text(text)
    words = [word.replace("INDEX", address) for word in installer.words]
    if installer.package == "pip":  # installs into the environment that it is in
        subprocess.run([sys.executable, "-m", "venv", room / ".venv"], check=True)
        programs = room / ".venv" / "bin"
    surroundings = environment(room, address, programs)
    before = os.times()
    done = subprocess.run([programs / words[0], *words[1:]], cwd=room, env=surroundings,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)  # fmt: skip
    after = os.times()
    if done.returncode:
        return f"FAILED\n{(done.stdout + done.stderr)[-3000:]}"
    spent = after.children_user - before.children_user
    spent += after.children_system - before.children_system
    version = done.stdout
    if installer.programs:
        command = [room / installer.programs / "sessiontrace", "--version"]
        version = subprocess.check_output(command, env=surroundings, text=True)
    return f"{spent:5.1f} s of a processor, {size(room) / 1e6:4.0f} MB, {version.strip()}"


def main() -> int:
    """Try each installer, or those that are named; 1 where one fails."""
    failures = 0
    with tempfile.TemporaryDirectory() as name, served(index(Path(name))) as address:
        for title in sys.argv[1:] or INSTALLERS:
            with tempfile.TemporaryDirectory() as room:
                outcome = try_out(INSTALLERS[title], Path(room), address)
            failures += outcome.startswith("FAILED")
            print(f"{title:16} {outcome}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
