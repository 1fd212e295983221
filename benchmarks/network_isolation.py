"""Cut off from every network but loopback, for programs that want to call home.

``alone()`` starts the running script again in a network namespace of its own, where the system can
make one; it then returns True in there. Elsewhere it returns False, and only what `worker` refuses
by itself is refused. Invariant: the script goes on either way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

__all__ = ["alone"]

_MARK = "BENCHMARK_ALONE"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 1


def alone() -> bool:
    """Whether this process has loopback only; the first call may replace the process."""
    if _MARK in os.environ:
        _raise_loopback()
        return True
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    inside = [unshare, "--map-root-user", "--net"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        return False
    os.environ[_MARK] = "1"
    return os.execv(unshare, [*inside, sys.executable, *sys.argv])


def _raise_loopback() -> None:
    """A new namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control, contextlib.suppress(OSError):
        asked = struct.pack("16sh", b"lo", 0) + bytes(24)
        flags = struct.unpack("16sh", fcntl.ioctl(control, _SIOCGIFFLAGS, asked)[:18])[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | _UP) + bytes(24))
