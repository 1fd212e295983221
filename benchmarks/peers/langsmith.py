"""langsmith: its decorator, to its multipart endpoint."""

from __future__ import annotations

import os
from typing import Any

PACKAGES = ("langsmith",)
IMPORT = "from langsmith import traceable, Client"
SETTINGS = "defaults (its queue has no bound that was reached)"
ROOTS = 1

_here: list[Any] = []


def start(url: str, enabled: bool = True) -> None:
    os.environ |= {
        "LANGSMITH_TRACING": str(enabled).lower(),
        "LANGSMITH_ENDPOINT": url,
        "LANGSMITH_API_KEY": "lsv2_pt_benchmark",
        "LANGSMITH_PROJECT": "benchmark",
    }
    import langsmith

    client = langsmith.Client()
    _here.extend((langsmith, client))


def decorate(function: Any) -> Any:
    return _here[0].traceable(name="step", run_type="llm", client=_here[1])(function)


def session() -> Any:
    return _here[0].trace("benchmark", client=_here[1])


def flush() -> None:
    _here[1].flush()
