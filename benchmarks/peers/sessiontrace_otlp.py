"""sessiontrace to OTLP, as protobuf: what opentelemetry-sdk says, by us."""

from __future__ import annotations

import os

from peers.sessiontrace import IMPORT, PACKAGES, _here, decorate, flush, session

__all__ = [
    "IMPORT",
    "PACKAGES",
    "ROOTS",
    "SETTINGS",
    "TITLE",
    "decorate",
    "flush",
    "session",
    "start",
]

TITLE = "sessiontrace, as OTLP"
SETTINGS = "OTLP as protobuf; masking on"
ROOTS = 1


def start(url: str, enabled: bool = True) -> None:
    import sessiontrace as st

    st.init(st.OTLP(endpoint=url), enabled=enabled, spool=os.environ["BENCHMARK_SCRATCH"])
    _here.append(st)
