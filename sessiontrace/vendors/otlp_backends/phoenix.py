"""The destination ``Phoenix``; a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from sessiontrace.model.later_types import later
from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

if TYPE_CHECKING:
    from sessiontrace.vendors.otlp.score_requests import ScoreRequests
else:
    ScoreRequests = later("sessiontrace.vendors.otlp.score_requests", "ScoreRequests")

__all__ = ["VENDOR", "Phoenix"]


@attrs.frozen(kw_only=True)
class Phoenix(OTLPBackend):
    """Arize Phoenix, on this machine or elsewhere.

    ``base_url``: default ``PHOENIX_COLLECTOR_ENDPOINT``, else ``http://localhost:6006``.
    ``api_key``: default ``PHOENIX_API_KEY``; a Phoenix without authentication needs none.
    ``project``: default ``PHOENIX_PROJECT_NAME``, else Phoenix's own default. Source: Phoenix's
    documentation and arize-phoenix 20.26.
    """

    kind: ClassVar[str] = "phoenix"
    KEY_VARIABLE: ClassVar[str] = "PHOENIX_API_KEY"
    KEY_REQUIRED: ClassVar[bool] = False
    URL_VARIABLE: ClassVar[str] = "PHOENIX_COLLECTOR_ENDPOINT"
    DEFAULT_URL: ClassVar[str] = "http://localhost:6006"
    SCORE_TYPE: ClassVar[str] = "application/json"
    PROJECT_VARIABLE: ClassVar[str] = "PHOENIX_PROJECT_NAME"

    def resource(self) -> dict[str, str]:
        return {"openinference.project.name": self.project} if self.project else {}

    def scores(self, resource: Mapping[str, str]) -> ScoreRequests:
        from sessiontrace.vendors.otlp_backends.phoenix_scores import PhoenixScores

        return PhoenixScores()

    def translate(self, attributes: dict[str, Any]) -> None:
        from sessiontrace.vendors.otlp_backends.phoenix_attributes import translate

        translate(attributes)


VENDOR = vendor_for(Phoenix)
