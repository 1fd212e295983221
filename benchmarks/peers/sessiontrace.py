"""sessiontrace itself, to HoneyHive's protocol."""

from __future__ import annotations

import os
from typing import Any

PACKAGES = ()  # this repository
TITLE = "sessiontrace"
IMPORT = "import sessiontrace"
SETTINGS = "defaults; masking on"
ROOTS = 0  # sessions are requests of their own

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    import sessiontrace as st

    st.init(st.HoneyHive(api_key="benchmark", base_url=url), enabled=enabled,
            spool=os.environ["BENCHMARK_SCRATCH"])  # fmt: skip
    _here.append(st)


def decorate(function: Any) -> Any:
    return _here[0].trace(type="model")(function)


def session() -> Any:
    return _here[0].session("benchmark")


def flush() -> None:
    _here[0].flush(timeout=300)
