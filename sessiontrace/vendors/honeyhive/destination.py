"""The destination ``HoneyHive``: its address, its key and their variables; a value."""

from __future__ import annotations

from typing import ClassVar

import attrs

from sessiontrace.model.destination import HttpDestination

__all__ = ["HoneyHive"]


@attrs.frozen(kw_only=True)
class HoneyHive(HttpDestination):
    """HoneyHive's data plane (REST v1).

    ``api_key``: a project key; default ``HH_API_KEY``. ``base_url``: default ``HH_API_URL``, else
    HoneyHive's cloud. Source: HoneyHive's data-plane OpenAPI 1.9.0.
    """

    kind: ClassVar[str] = "honeyhive"
    KEY_VARIABLE: ClassVar[str] = "HH_API_KEY"
    URL_VARIABLE: ClassVar[str] = "HH_API_URL"
    DEFAULT_URL: ClassVar[str] = "https://api.dp1.us.honeyhive.ai"
