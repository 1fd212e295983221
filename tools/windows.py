"""Runs sessiontrace on a CPython for Windows under Wine: the quickstart, and a kill and adoption.

Wine is not Windows: it lets programs rename directories that hold open files, so ``make platforms``
checks those rules. This checks that a Windows build imports, spools, delivers and adopts. It needs
Debian's ``wine`` package, network for wheels, and a Python 3.12 here for its standard library; the
interpreter's own files are those that panda3d's wheel for Windows carries. Nothing is installed.

    python tools/windows.py [ROOM]      the folder to keep it in, default .venv/windows
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from floors import uv
from pythons import find

REPO = Path(__file__).resolve().parent.parent
VERSION = "3.12"
KILLED_STATUS = 9
PATIENCE_S = 180
LAUNCHER = """
#include <windows.h>
typedef int (*run_t)(int, wchar_t **);
int wmain(int count, wchar_t **words) {
    HMODULE library = LoadLibraryW(L"python312.dll");
    return library ? ((run_t)(void *)GetProcAddress(library, "Py_Main"))(count, words) : 99;
}
"""
KILLED = """
import os, sys
import sessiontrace as st
room = sys.argv[1]
st.init(st.Local(path=room + "/store.db"), spool=room + "/spool")
for number in range(300):
    with st.session(f"killed {number}"):
        pass
print(st.stats().accepted, "accepted,", st.stats().dropped, "dropped", flush=True)
os.kill(os.getpid(), 9)  # on Windows it ends the process at once, with this status
"""
ADOPTING = """
import sqlite3, sys, time
import sessiontrace as st
room = sys.argv[1]
st.init(st.Local(path=room + "/store.db"), spool=room + "/spool")
with st.session("live"):
    pass
for attempt in range(30):
    st.flush(10)
    with sqlite3.connect(room + "/store.db") as store:
        (count,) = store.execute("SELECT count(*) FROM sessions").fetchone()
    if count == 301:
        break
    time.sleep(0.5)
print(count, "of 301 sessions are stored")
st.shutdown(5)
sys.exit(count != 301)
"""


def wine() -> str:
    """The program, also where Debian's package keeps it off the path."""
    for name in ("/usr/lib/wine/wine64", "wine64", "wine"):
        if path := shutil.which(name):
            return path
    sys.exit("Wine is not installed: apt-get install wine wine64")


def run(*command: str | Path, **env: str) -> None:
    subprocess.run(
        [str(part) for part in command], cwd=REPO, env={**os.environ, **env},
        stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip


def run_windows(command: list[str], *words: str, **env: str) -> int:
    """The status of a program under Wine, which prints into a pipe: Python takes no file there."""
    done = subprocess.run(
        [*command, *words], cwd=REPO, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=PATIENCE_S,
    )  # fmt: skip
    print(done.stdout, end="", flush=True)
    return done.returncode


def assemble(place: Path) -> Path:
    """A CPython for Windows with this source, without compiled forms; its program."""
    host = find(VERSION)
    if host is None:
        sys.exit(f"Python {VERSION} is not installed")
    home = place / "python"
    shutil.rmtree(home, ignore_errors=True)
    code = "import sysconfig; print(sysconfig.get_path('stdlib'))"
    library = subprocess.check_output([host, "-c", code], text=True).strip()
    ignored = shutil.ignore_patterns("site-packages", "test", "config-*", "__pycache__", "*.so")
    shutil.copytree(library, home / "Lib", ignore=ignored)
    run(host, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--platform", "win_amd64", "--python-version", VERSION, "-d", place, "panda3d")  # fmt: skip
    (home / "DLLs").mkdir()
    with zipfile.ZipFile(next(place.glob("panda3d-*.whl"))) as wheel:
        for member in wheel.namelist():
            path = Path(member)
            if path.name == "_wmi.pyd":  # Wine has not all that it calls
                continue
            if path.parts[0] == "deploy_libs" and path.suffix in (".dll", ".pyd"):
                beside = path.name.lower().startswith(("python3", "vcruntime"))
                target = (home if beside else home / "DLLs") / path.name
                target.write_bytes(wheel.read(member))
    program = home / "python.exe"
    place.joinpath("launcher.c").write_text(LAUNCHER)
    run(uv(), "tool", "run", "--from", "ziglang", "python-zig", "cc", "-target",
        "x86_64-windows-gnu", "-municode", "-o", program, place / "launcher.c")  # fmt: skip
    site = home / "Lib" / "site-packages"
    run(uv(), "pip", "install", "--quiet", "--python-platform", "x86_64-pc-windows-msvc",
        "--python-version", VERSION, "--only-binary", ":all:", "--no-binary", "sessiontrace",
        "--target", site, f"{REPO}[cli]", SESSIONTRACE_PURE="1")  # fmt: skip
    return program


def main() -> None:
    """Assemble and run; ends with the first program that fails."""
    place = Path(*sys.argv[1:2] or [REPO / ".venv" / "windows"]).absolute()
    place.mkdir(parents=True, exist_ok=True)
    command = [wine(), str(assemble(place))]
    os.environ |= {"WINEPREFIX": str(place / "prefix"), "WINEDEBUG": "-all"}
    room = place / "room"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    windows_room = "Z:" + str(room)
    code = "import sys, sessiontrace as st; print(sys.version, st.__compiled__)"
    quickstart = {
        "SESSIONTRACE_STORE": windows_room + "/quickstart.db",
        "SESSIONTRACE_SPOOL": windows_room + "/quickstart",
    }
    if status := run_windows(command, "-c", code):
        sys.exit(f"Python for Windows ended with {status}")
    if status := run_windows(command, "examples/quickstart.py", **quickstart):
        sys.exit(f"the quickstart ended with {status}")
    if (status := run_windows(command, "-c", KILLED, windows_room)) != KILLED_STATUS:
        sys.exit(f"the program to be killed ended with {status}")
    if status := run_windows(command, "-c", ADOPTING, windows_room):
        sys.exit(f"the next program ended with {status}")


if __name__ == "__main__":
    main()
