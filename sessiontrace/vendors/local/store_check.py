"""What ``sessiontrace doctor`` finds out about the embedded store.

Runs in the command's thread. Invariant: without a canary it creates and changes no file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sessiontrace.model.errors import SessionTraceError
from sessiontrace.model.record import Record
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.vendors.probe import FAULT, OK, Finding, disk_space

__all__ = ["check_store"]


def check_store(path: Path, canary: Sequence[Record]) -> list[Finding]:
    """Whether the store at ``path`` can be opened, or created; the canary is written to it."""
    directory = next((parent for parent in path.parents if parent.exists()), path.parent)
    if not path.exists() and not os.access(directory, os.W_OK | os.X_OK):
        advice = "make the directory writable, or set SESSIONTRACE_STORE to another file"
        return [Finding("store", FAULT, f"{path} cannot be created in {directory}", advice)]
    findings = [Finding("store", OK, f"{path}" if path.exists() else f"{path}, not created yet")]
    store = SqliteStore(path, read_only=not canary)
    try:
        if canary:
            store.write(canary)
            findings.append(Finding("canary", OK, "written: a session 'sessiontrace doctor'"))
        elif path.exists():
            store.open()
    except (SessionTraceError, OSError) as error:
        advice = "fix the file, or set SESSIONTRACE_STORE to another one"
        findings = [Finding("store", FAULT, str(error), advice)]
    finally:
        store.close()
    return [*findings, *disk_space(directory)]
