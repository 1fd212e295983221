"""A new segment's zeros: as many bytes as it has, in blocks of its own, however they got there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.spools import FailingFiles

from sessiontrace.spool.filesystem import Files
from sessiontrace.spool.segment import SMALLEST

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="segments are mapped on Linux only")

SIZE = 2 * SMALLEST + 4321


def allocated(files: Files, path: Path) -> bytes:
    fd = files.create(path)
    files.allocate(fd, SIZE)
    assert os.fstat(fd).st_blocks * 512 >= SIZE, "a hole could meet a full disk when it is written"
    os.close(fd)
    return path.read_bytes()


@pytest.mark.not_under("macos", "ntfs", reason="only Linux does this")
def test_the_kernel_fills_a_segment_by_itself(tmp_path: Path) -> None:
    """A program that computes all the time gives up the interpreter every 5 ms. A worker that
    asks for it after each of many writes would be as many times late with the spare.
    """
    files = FailingFiles()
    assert allocated(files, tmp_path / "new") == bytes(SIZE)
    assert files.calls == ["create", "allocate", "pwrite"]  # FailingFiles calls a pour so, too


def _refuse(*_: object) -> int:
    raise PermissionError("not in this sandbox")


def _half(fd: int, source: int, offset: int, count: int) -> int:
    if offset:
        raise OSError("no more of it")
    return os.pwrite(fd, bytes(123_456), 0)


def _none(fd: int, source: int, offset: int, count: int) -> int:
    return 0


@pytest.mark.parametrize(
    ("call", "instead"),
    [("memfd_create", _refuse), ("sendfile", _refuse), ("sendfile", _half), ("sendfile", _none)],
)
def test_what_the_kernel_does_not_fill_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, instead: Callable[..., int]
) -> None:
    """A sandbox may forbid the calls, a file system may not know them or stop half way."""
    monkeypatch.setattr(os, call, instead)
    descriptors = len(os.listdir("/proc/self/fd"))
    assert allocated(Files(), tmp_path / "new") == bytes(SIZE)
    assert len(os.listdir("/proc/self/fd")) == descriptors
