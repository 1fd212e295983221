"""sessiontrace to four vendors at once: every event goes to each."""

from __future__ import annotations

import os

from peers.sessiontrace import IMPORT, PACKAGES, _here, decorate, flush, session

__all__ = ["IMPORT", "PACKAGES", "ROOTS", "SETTINGS", "TITLE", "decorate", "flush", "session",
           "start"]  # fmt: skip

TITLE = "sessiontrace, to four vendors"
SETTINGS = "HoneyHive, Humanloop, PostHog and OTLP as protobuf; masking on"
ROOTS = 1


def start(url: str, enabled: bool = True) -> None:
    import sessiontrace as st

    st.init(
        st.HoneyHive(api_key="benchmark", base_url=url),
        st.Humanloop(api_key="benchmark", base_url=f"{url}/v4"),
        st.PostHog(api_key="phc_benchmark", base_url=url),
        st.OTLP(endpoint=url),
        enabled=enabled,
        spool=os.environ["BENCHMARK_SCRATCH"],
    )
    _here.append(st)
