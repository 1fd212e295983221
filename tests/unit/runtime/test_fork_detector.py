"""A forked child must know at its first append that the spool is its parent's."""

from __future__ import annotations

import mmap
import os
import sys

import pytest

from sessiontrace.runtime import fork_detector

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(mark: fork_detector.ForkMarker) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(mark[0])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_fork
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside threads
@pytest.mark.parametrize("kernel", ["that wipes", "that does not"])
def test_the_mark_is_gone_in_a_child(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel's hand where it can, else by the process id."""
    if kernel == "that does not":
        monkeypatch.setattr(fork_detector, "_WIPE_ON_FORK", 1 << 20)
    mark = fork_detector.own_process()
    assert isinstance(mark, mmap.mmap) == (kernel == "that wipes" and sys.platform == "linux")
    assert mark[0] == 1
    assert in_child(mark) == 0
    assert mark[0] == 1
