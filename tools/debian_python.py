"""Runs the tests on the Python of Debian unstable, in a system of its own that debootstrap makes.

For a version of Python that this machine lacks: it installs Debian's packages and this source with
compiled forms, and runs the unit and property tests, or those that are named. It needs root,
``debootstrap`` and ``mount``. A plain chroot is a platform, too: it lists no mount of its root.

    python tools/debian_python.py [--place .venv/debian] [TESTS]...
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "python3,python3-dev,python3-venv,gcc,libc6-dev,ca-certificates"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
TESTS = ("tests/unit", "tests/property", "--ignore=tests/unit/test_typing.py")
INSTALL = """
test -x /venv/bin/python || python3 -m venv /venv
/venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
SESSIONTRACE_PURE=0 /venv/bin/python -m pip install --quiet --editable '.[cli]' --group dev
/venv/bin/python -c 'import sys, sessiontrace as st; print(sys.version); print(st.__compiled__)'
"""
LEFT_OUT = (".venv", "build", "dist", "node_modules", "*.so", "__pycache__")


def system(place: Path) -> None:
    """A Debian in this folder, with the source in its folder ``src``."""
    if not (place / "usr" / "bin" / "python3").exists():
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "sid"]
        subprocess.run([*command, str(place), MIRROR], check=True, stdout=subprocess.DEVNULL)
    shutil.copy(f"/{CERTIFICATES}", place / CERTIFICATES)
    shutil.rmtree(place / "src", ignore_errors=True)
    shutil.copytree(REPO, place / "src", ignore=shutil.ignore_patterns(*LEFT_OUT))


def run(place: Path, script: str, *words: str) -> int:
    """The status of a shell's script in this system, in the folder of the source."""
    command = ["/usr/sbin/chroot", str(place), "/bin/sh", "-ec", f"cd /src\n{script}", "sh", *words]
    own = {"PATH": "/usr/bin:/bin", "HOME": "/root", "SSL_CERT_FILE": f"/{CERTIFICATES}"}
    return subprocess.run(command, env=own, check=False).returncode


def main() -> int:
    """The status of the tests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--place", type=Path, default=REPO / ".venv" / "debian")
    options, tests = parser.parse_known_args()
    if os.geteuid() or shutil.which("debootstrap") is None:
        sys.exit("debootstrap needs root and is to be installed: apt-get install debootstrap")
    place = options.place.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    system(place)
    subprocess.run(["mount", "-t", "proc", "proc", str(place / "proc")], check=True)
    try:
        pytest = '/venv/bin/python -m pytest -q -n 2 -p no:cacheprovider "$@"'
        return run(place, INSTALL) or run(place, pytest, *(tests or TESTS))
    finally:
        subprocess.run(["umount", str(place / "proc")], check=True)


if __name__ == "__main__":
    sys.exit(main())
