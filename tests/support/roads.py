"""The ways from a program to the local server: each exporter, to the API that its vendor has."""

from __future__ import annotations

from support.server_process import Served

import sessiontrace as st
from sessiontrace.model.destination import Destination

__all__ = ["ROADS", "road"]

ROADS = ("honeyhive", "humanloop", "humanloop-v5", "posthog", "otlp", "otlp-protobuf")


def road(name: str, served: Served) -> Destination:
    """The destination that sends this way to ``served``."""
    if name == "honeyhive":
        return st.HoneyHive(api_key="hh", base_url=served.url)
    if name.startswith("humanloop"):
        version = 5 if name.endswith("v5") else 4
        return st.Humanloop(api_key="hl", base_url=served.url, version=version)
    if name == "posthog":
        return st.PostHog(api_key="phc", base_url=served.url)
    return st.OTLP(endpoint=served.url, protobuf=name.endswith("protobuf"))
