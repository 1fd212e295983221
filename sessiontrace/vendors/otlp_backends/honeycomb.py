"""The destination ``Honeycomb``; a value."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

__all__ = ["VENDOR", "Honeycomb"]


@attrs.frozen(kw_only=True)
class Honeycomb(OTLPBackend):
    """Honeycomb.

    ``api_key``: default ``HONEYCOMB_API_KEY``. ``base_url``: default ``HONEYCOMB_API_ENDPOINT``,
    else Honeycomb's US cloud. ``project``: a dataset, for keys of Honeycomb Classic only; default
    ``HONEYCOMB_DATASET``. Source: Honeycomb's documentation of its OTLP endpoint.
    """

    kind: ClassVar[str] = "honeycomb"
    KEY_VARIABLE: ClassVar[str] = "HONEYCOMB_API_KEY"
    URL_VARIABLE: ClassVar[str] = "HONEYCOMB_API_ENDPOINT"
    DEFAULT_URL: ClassVar[str] = "https://api.honeycomb.io"
    PROJECT_VARIABLE: ClassVar[str] = "HONEYCOMB_DATASET"
    LOGS_PATH: ClassVar[str] = "/v1/logs"

    def request_headers(self) -> dict[str, str]:
        assert self.api_key is not None  # it is complete
        headers = {"x-honeycomb-team": self.api_key.reveal()}
        return {**headers, "x-honeycomb-dataset": self.project} if self.project else headers

    def translate(self, attributes: dict[str, Any]) -> None:
        # Its timeline of agents shows only spans that have a conversation.
        attributes.setdefault("gen_ai.conversation.id", attributes["session.id"])


VENDOR = vendor_for(Honeycomb)
