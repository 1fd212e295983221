"""The destination ``PostHog``: its address, its project token and their variables; a value."""

from __future__ import annotations

from typing import ClassVar

import attrs

from sessiontrace.model.destination import HttpDestination

__all__ = ["PostHog"]


@attrs.frozen(kw_only=True)
class PostHog(HttpDestination):
    """PostHog's AI observability, through its public ingestion.

    ``api_key``: the project's token (``phc_...``), not a personal key; default
    ``POSTHOG_API_KEY``. ``base_url``: default ``POSTHOG_HOST``, else PostHog's US cloud. ``gzip``:
    compress requests to a third of the bytes, for some 15 us of CPU an event. Source: PostHog's
    ingestion service and Python SDK 7.91.
    """

    kind: ClassVar[str] = "posthog"
    KEY_VARIABLE: ClassVar[str] = "POSTHOG_API_KEY"
    URL_VARIABLE: ClassVar[str] = "POSTHOG_HOST"
    DEFAULT_URL: ClassVar[str] = "https://us.i.posthog.com"

    gzip: bool = False

    def faults(self) -> list[str]:
        faults = super().faults()
        if self.api_key and self.api_key.reveal().startswith("phx_"):
            faults.append(
                f"{self.name}: the key is a personal key (phx_); ingestion needs the project's "
                f"token (phc_), see the project's settings (api_key= or {self.KEY_VARIABLE})"
            )
        return faults
