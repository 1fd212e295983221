"""The destination ``Datadog``; a value."""

from __future__ import annotations

from typing import ClassVar

import attrs

from sessiontrace.model.destination import Env
from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

__all__ = ["VENDOR", "Datadog"]


@attrs.frozen(kw_only=True)
class Datadog(OTLPBackend):
    """Datadog's LLM Observability, without an agent.

    ``api_key``: default ``DD_API_KEY``. ``site``: such as ``datadoghq.eu``; default ``DD_SITE``,
    else ``datadoghq.com``. ``base_url``: the intake, where it is not the site's. Source: Datadog's
    documentation of OpenTelemetry instrumentation for LLM Observability.
    """

    kind: ClassVar[str] = "datadog"
    KEY_VARIABLE: ClassVar[str] = "DD_API_KEY"
    URL_VARIABLE: ClassVar[str] = "DD_OTLP_INTAKE"
    DEFAULT_URL: ClassVar[str] = "https://otlp.datadoghq.com"

    site: str = ""

    def complete(self, env: Env) -> OTLPBackend:
        site = self.site or env.get("DD_SITE") or "datadoghq.com"
        base_url = self.base_url or env.get(self.URL_VARIABLE) or f"https://otlp.{site}"
        return OTLPBackend.complete(attrs.evolve(self, site=site, base_url=base_url), env)

    def request_headers(self) -> dict[str, str]:
        assert self.api_key is not None  # it is complete
        return {"dd-api-key": self.api_key.reveal(), "dd-otlp-source": "llmobs"}


VENDOR = vendor_for(Datadog)
