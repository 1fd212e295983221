"""sessiontrace to its own store in a file, the default of a program that configures nothing."""

from __future__ import annotations

import os

from peers.sessiontrace import IMPORT, PACKAGES, ROOTS, _here, decorate, flush, session

__all__ = ["IMPORT", "PACKAGES", "ROOTS", "SETTINGS", "TITLE", "decorate", "flush", "session",
           "start"]  # fmt: skip

TITLE = "sessiontrace, to a local store"
SETTINGS = "SQLite, full text; masking on"


def start(url: str, enabled: bool = True) -> None:
    import sessiontrace as st

    scratch = os.environ["BENCHMARK_SCRATCH"]
    st.init(st.Local(path=f"{scratch}/store.db"), enabled=enabled, spool=f"{scratch}/spool")
    _here.append(st)
