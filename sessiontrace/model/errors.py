"""The exceptions a user can meet, drawn as a tree; no thread owns them.

    SessionTraceError
    ├── ConfigError        init() was given something wrong: lists every fault at once
    ├── VendorError        a vendor is unknown, or its plug-in fails (raised inside, a ConfigError)
    ├── StoreError         the local store cannot be used (newer schema, not a database, ...)
    │   ├── StoreBusyError     another process is writing to it; try again
    │   └── StoreTimeoutError  reading it took longer than its limit
    └── SpoolError         the spool directory cannot be used (raised inside, shown by the CLI)

Invariant: after a successful ``init`` none of these is raised into user code by capture.
"""

from __future__ import annotations

from collections.abc import Sequence


class SessionTraceError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigError(SessionTraceError):
    """The configuration cannot work. ``faults`` holds one sentence for each thing wrong.

    Each sentence says what to do, and in which argument or environment variable. It never contains
    a key.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults: tuple[str, ...] = tuple(faults)
        count = len(self.faults)
        super().__init__(
            f"sessiontrace: {count} configuration error{'' if count == 1 else 's'}:\n"
            + "\n".join(f"  - {fault}" for fault in self.faults)
        )

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[str, ...]]]:
        return type(self), (self.faults,)


class VendorError(SessionTraceError):
    """No vendor has that name, or its plug-in cannot be used; the message says what to do."""


class StoreError(SessionTraceError):
    """The local store cannot be opened or read; the message says what to do."""


class StoreBusyError(StoreError):
    """Another process is writing to the store and took longer than we wait; try again."""


class StoreTimeoutError(StoreError):
    """Reading took longer than its limit and was given up."""


class SpoolError(SessionTraceError):
    """A spool directory cannot be used; the message says why."""
